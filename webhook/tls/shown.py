"""What a client is shown of a certificate: by a handshake in memory, with OpenSSL alone."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.tls.memory import pem_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Shown", "shown_by"]

CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\r?\n?")
KEY: Final = re.compile(rb"-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\r?\n?")
# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the module ssl has no name for.
WHATEVER_THE_DATE: Final = 0x200000
# A handshake takes two messages of each side, or three.
MAX_MESSAGES: Final = 10


class Shown(NamedTuple):
    """The fields of a `webhook.tls.pair.KeyPair`."""

    certificate: bytes
    key: bytes
    names: tuple[str, ...]
    valid_from: datetime
    expires_at: datetime
    fingerprint: str


def shown_by(certificate: bytes, key: bytes) -> Shown | None:
    """Return what clients are shown of a pair in its usual form.

    Args:
        certificate: Certificates in PEM, the serving one first.
        key: Private key in PEM (PKCS #8).

    Returns:
        None if anything about it is unusual, or wrong.
    """
    chain, keys = CERTIFICATE.findall(certificate), KEY.findall(key)
    if not chain or len(keys) != 1:
        return None
    try:
        client = handshake(b"".join(chain), keys[0], chain[0].decode())
    except (ssl.SSLError, ValueError):
        return None
    told: Any = client.getpeercert()
    der = client.getpeercert(binary_form=True)
    names = (*names_of(told, "DNS"), *addresses_of(told))
    if not names or der is None:
        return None
    return Shown(
        certificate=b"".join(chain),
        key=keys[0],
        names=names,
        valid_from=moment(told["notBefore"]),
        expires_at=moment(told["notAfter"]),
        fingerprint=hashlib.sha256(der).hexdigest(),
    )


def handshake(chain: bytes, key: bytes, trusted: str) -> ssl.SSLObject:
    """Return the client's end after a handshake with a server that has the pair.

    Args:
        chain: What the server presents.
        key: Its private key.
        trusted: What the client trusts: the serving certificate itself.

    Raises:
        ssl.SSLError: One of them cannot be used.
        ValueError: The key is protected.
    """
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pem_file(chain + key) as path:
        serving.load_cert_chain(path, password=no_passphrase)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.load_verify_locations(cadata=trusted)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asking.verify_flags |= WHATEVER_THE_DATE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(there, back, server_side=True)
    client = asking.wrap_bio(back, there)
    waiting = [client, server]
    for _ in range(MAX_MESSAGES):
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
        if not waiting:
            return client
    raise ValueError("the handshake does not end")


def no_passphrase() -> str:
    """Refuse to ask for a passphrase, which OpenSSL would do at the terminal."""
    raise ValueError("it is protected")


def names_of(told: dict[str, Any], kind: str) -> Iterator[str]:
    """Yield the alternative names of a kind."""
    for found, name in told.get("subjectAltName", ()):
        if found == kind:
            yield name


def addresses_of(told: dict[str, Any]) -> Iterator[str]:
    """Yield the addresses, as they are usually written."""
    for address in names_of(told, "IP Address"):
        yield str(ipaddress.ip_address(address.strip()))


def moment(text: str) -> datetime:
    """Return a time that stands in a certificate."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
