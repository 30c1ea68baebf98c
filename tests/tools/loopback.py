"""HTTP requests to loopback without certificate verification.

Loading the CAs of the machine takes 50 ms, and the functions of httpx do this for each
request, although the servers of tests have no certificate or a self-signed one.
"""

from __future__ import annotations

import os
import ssl
from functools import partial

import httpx

__all__ = ["NO_CAS", "get", "post", "put", "unverified"]


def unverified() -> ssl.SSLContext:
    """Return an SSL context that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# Environment for processes that create their own client.
NO_CAS = {"SSL_CERT_FILE": os.devnull}
NOBODY = unverified()
get = partial(httpx.get, verify=NOBODY)
post = partial(httpx.post, verify=NOBODY)
put = partial(httpx.put, verify=NOBODY)
