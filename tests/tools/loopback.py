"""HTTP to loopback by a client that trusts nobody.

To read whom a machine trusts takes 50 ms, and httpx does so for every request of its
functions, although what is asked here has no certificate, or one that nobody knows.
"""

from __future__ import annotations

import os
import ssl
from functools import partial

import httpx

__all__ = ["NO_CAS", "get", "post", "put", "unverified"]


def unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# The same for what makes a client of its own.
NO_CAS = {"SSL_CERT_FILE": os.devnull}
NOBODY = unverified()
get = partial(httpx.get, verify=NOBODY)
post = partial(httpx.post, verify=NOBODY)
put = partial(httpx.put, verify=NOBODY)
