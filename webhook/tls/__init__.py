"""Certificates to serve with: from files, self-signed, or from a CA kept in the cluster.

`CertificateFiles` reads and watches files. `webhook.tls.issuing` makes a certificate in
memory, and `webhook.tls.keeping` looks after one whose CA all replicas share: those are
imported where they are needed, as cryptography takes 8 MiB and a tenth of a second.
Whichever it is, a `ServingContext` serves with it.
"""

from webhook.tls.context import ServingContext
from webhook.tls.errors import CertificateError
from webhook.tls.files import CertificateFiles
from webhook.tls.pair import KeyPair
from webhook.tls.place import Place, Standing

__all__ = [
    "CertificateError",
    "CertificateFiles",
    "KeyPair",
    "Place",
    "ServingContext",
    "Standing",
]
