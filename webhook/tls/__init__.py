"""
Certificates to serve with: from files, self-signed, or from a CA kept in the cluster.

`CertificateFiles` reads and watches files, `self_signed` makes a certificate in
memory, and `keep` looks after one whose CA all replicas share. Whichever it is, a
`ServingContext` serves with it.
"""

from webhook.tls.authority import Timing
from webhook.tls.context import ServingContext
from webhook.tls.errors import CertificateError
from webhook.tls.files import CertificateFiles
from webhook.tls.issuing import self_signed
from webhook.tls.keeping import Pace, keep
from webhook.tls.pair import KeyPair, expiry_of
from webhook.tls.place import Place, Standing

__all__ = [
    "CertificateError",
    "CertificateFiles",
    "KeyPair",
    "Pace",
    "Place",
    "ServingContext",
    "Standing",
    "Timing",
    "expiry_of",
    "keep",
    "self_signed",
]
