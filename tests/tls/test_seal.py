"""Messages between replicas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webhook.tls import CertificateError, Seal
from webhook.tls.ca import create_ca

NOW = datetime(2027, 1, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def authorities():
    return [create_ca("a CA", NOW, timedelta(days=1)) for _ in range(3)]


def test_message_is_opened_with_the_same_ca_and_hidden(authorities):
    sealed = Seal(authorities[:1]).close(b"shop/web")
    assert b"shop" not in sealed
    assert Seal(authorities[:1]).open(sealed) == b"shop/web"


def test_message_is_opened_by_a_replica_that_is_behind_or_ahead_in_a_rotation(authorities):
    behind, ahead = Seal(authorities[:2]), Seal(authorities[1:])
    assert ahead.open(behind.close(b"x")) == b"x"
    with pytest.raises(CertificateError):
        behind.open(ahead.close(b"x"))
    assert Seal(authorities).open(ahead.close(b"x")) == b"x"


@pytest.mark.parametrize("message", [b"", b"x", b"gAAAA" + b"A" * 100, "é".encode()])
def test_message_of_others_is_refused(authorities, message):
    with pytest.raises(CertificateError, match="no replica with the same CA"):
        Seal(authorities[:1]).open(message)
    with pytest.raises(CertificateError):
        Seal(authorities[:1]).open(Seal(authorities[1:2]).close(message))


def test_message_that_was_changed_or_is_old_is_refused(authorities, monkeypatch):
    seal = Seal(authorities[:1])
    sealed = seal.close(b"x")
    with pytest.raises(CertificateError):
        seal.open(sealed[:-4] + b"AAAA")
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: NOW.timestamp() + 10**9)
    with pytest.raises(CertificateError):
        seal.open(sealed)
