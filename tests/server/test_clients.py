"""Which clients may send reviews, by their certificates."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trustme
from click.testing import CliRunner

from tests.server.conftest import review_of
from tests.server.process import JSON, serving, until
from tests.tools.loopback import unverified
from webhook.cli.serve import serve

REVIEW = review_of("nginx")


@pytest.fixture
def authority(tmp_path):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "client-ca.crt")
    return made


def send(webhook, certificate=None):
    """Return the answer to a review from a client with this certificate."""
    context = unverified()
    if certificate is not None:
        certificate.configure_cert(context)
    with httpx.Client(verify=context, base_url=webhook.reviews) as client:
        return client.post("/mutate", content=REVIEW, headers=JSON)


def is_refused(webhook, certificate=None):
    """Return whether TLS fails, or the connection ends before there is an answer."""
    try:
        send(webhook, certificate)
    except (httpx.TransportError, ssl.SSLError):
        return True
    return False


def test_only_clients_of_the_ca_are_answered(rules, tmp_path, authority):
    with serving(rules, "--client-ca", str(tmp_path / "client-ca.crt")) as webhook:
        assert send(webhook, authority.issue_cert(common_name="anyone")).status_code == 200
        assert is_refused(webhook)
        line = webhook.wait_for("connection closed")
        assert line["problem"] == "peer did not return a certificate"
        assert line["client"] == "127.0.0.1"
        assert is_refused(webhook, trustme.CA().issue_cert(common_name="anyone"))
        series = 'mirrorhook_connections_closed_total{reason="handshake"}'
        until(lambda: webhook.metric(series) == 2)
        assert len(webhook.logged("connection closed")) == 1
        assert webhook.ask("/readyz").status_code == 200


def test_only_clients_with_an_allowed_name_are_answered(rules, tmp_path, authority):
    options = ["--client-ca", str(tmp_path / "client-ca.crt")]
    for name in ("kube-apiserver", "api.example"):
        options += ["--client-name", name]
    with serving(rules, *options) as webhook:
        assert send(webhook, authority.issue_cert(common_name="kube-apiserver")).status_code == 200
        assert send(webhook, authority.issue_cert("api.example")).status_code == 200
        refused = send(webhook, authority.issue_cert(common_name="system:node:a"))
        assert refused.status_code == 403
        assert refused.json()["reason"] == "Forbidden"
        assert "is for system:node:a, which is not allowed" in refused.json()["message"]
        assert webhook.wait_for("connection closed")["reason"] == "certificate"


def test_ca_of_clients_is_replaced_without_a_restart(rules, tmp_path, authority):
    path = tmp_path / "client-ca.crt"
    other = trustme.CA()
    old, new = authority.issue_cert("a.example"), other.issue_cert("a.example")
    with serving(rules, "--client-ca", str(path)) as webhook:
        path.write_text("nothing of use")
        webhook.wait_for("client CA refused; the old one stays in use")
        assert send(webhook, old).status_code == 200
        other.cert_pem.write_to_path(path)
        webhook.wait_for("client CA loaded", 2)
        assert send(webhook, new).status_code == 200
        assert is_refused(webhook, old)


def test_ca_of_clients_that_cannot_be_used_is_an_error_at_the_start(rules, tmp_path):
    missing = str(tmp_path / "ca.crt")
    with (
        pytest.raises(AssertionError, match=r"ca\.crt: No such file"),
        serving(rules, "--client-ca", missing),
    ):
        pass


def test_names_of_clients_need_a_ca(rules):
    result = CliRunner().invoke(serve, ["--config", str(rules), "--client-name", "a"])
    assert result.exit_code == 2
    assert "--client-name needs --client-ca" in result.output
