"""What is said about registries that cannot be asked: real names, sockets, TLS and proxies."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import sys
import time
from contextlib import contextmanager
from threading import Thread

import pytest
import trustme

from tests.registry.fake_http import PASSWORD, secret
from tests.tools import registry as registries
from tests.tools.faults import UNKNOWN_HOST, has_dns, unused_port
from tests.tools.http_proxy import http_proxy
from tests.tools.loopback import NO_CAS
from tests.tools.registry import push_image, registry
from webhook.core import Availability, parse_reference
from webhook.registry import CheckStatus, ImageCheck, create_checker

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry"),
]

HTPASSWD = "robot:$2b$04$abcdefghijklmnopqrstuuzaite.WmwcP4x1HNwW4SZHGx9urgD4C\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No CAs and proxies but those that a test names."""
    for name, value in NO_CAS.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("plain")) as address:
        push_image(address, "team/app:1")
        yield address


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@contextmanager
def secured(folder, certificate, **options):
    """A registry with a certificate, by its port."""
    with registry(
        folder, certificate=certificate.private_key_and_cert_chain_pem.bytes(), **options
    ) as it:
        yield it.partition(":")[2]


@contextmanager
def server(answer):
    """A server that answers every connection with some bytes, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(answer)

        Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


async def ask(image, **options):
    """What a check finds, and in how many seconds."""
    reference = parse_reference(image)
    checker = create_checker(Availability(**{"timeout": 10.0} | options), time.monotonic)
    try:
        return await checker.run(ImageCheck(reference, "mirror"))
    finally:
        await checker.close()


async def test_name_that_does_not_exist_is_reported_at_once():
    result = await ask(f"{UNKNOWN_HOST}/team/app:1")

    if has_dns():
        assert (result.status, result.seconds < 8) == (CheckStatus.UNKNOWN_HOST, True)
        assert result.reason == "does not exist in DNS"
    else:
        assert result.reason == "cannot be reached (DNS does not answer for its name)"


@pytest.mark.parametrize("name", ["a" * 70 + ".invalid", "a--b.invalid"])
async def test_name_that_cannot_exist_is_no_internal_error(name):
    assert (await ask(f"{name}/app")).status in (CheckStatus.UNKNOWN_HOST, CheckStatus.UNREACHABLE)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_refused_connection_is_reported_for_all_addresses_of_a_host(host):
    port = unused_port().partition(":")[2]
    result = await ask(f"{host}:{port}/team/app:1")

    assert result.reason == "cannot be reached (connection refused)"


async def test_registry_without_tls_is_recognized(plain):
    result = await ask(f"{plain}/team/app:1")

    assert result.status is CheckStatus.UNREACHABLE
    assert result.detail == (
        f"it does not speak TLS: if it has plain HTTP only, add {plain} to plainHTTP"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 400 Bad request\r\n\r\n",
        b"<html>\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        b"\x00",
    ],
)
async def test_server_without_tls_is_recognized(answer):
    with server(answer) as address:
        result = await ask(f"{address}/team/app:1")

    assert result.status is CheckStatus.UNREACHABLE
    assert result.detail.endswith(f"if it has plain HTTP only, add {address} to plainHTTP")


async def test_registry_with_tls_is_recognized_over_plain_http(tmp_path, authority):
    with secured(tmp_path, authority.issue_cert("127.0.0.1")) as port:
        address = f"127.0.0.1:{port}"
        result = await ask(f"{address}/team/app:1", plain_http=frozenset({address}))

    assert result.detail == f"HTTP 400: if it has TLS, remove {address} from plainHTTP"


async def test_answer_that_is_not_http_may_be_tls():
    with server(b"\x15\x03\x01\x00\x02\x02\x46") as address:
        result = await ask(f"{address}/team/app:1", plain_http=frozenset({address}))

    assert result.detail.startswith("it does not speak HTTP: if it has TLS, remove 127.0.0.1:")


async def test_untrusted_certificate_is_explained(tmp_path, authority, ca):
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificates = {
        "": authority.issue_cert("127.0.0.1"),
        "expired": authority.issue_cert("127.0.0.1", not_after=old),
        "other": authority.issue_cert("other.example"),
        "address": authority.issue_cert("10.9.8.7"),
    }
    details = {}
    for name, certificate in certificates.items():
        with secured(tmp_path, certificate) as port:
            host = f"127.0.0.1:{port}"
            unknown = await ask(f"{host}/team/app:1")
            assert unknown.status is CheckStatus.UNTRUSTED
            assert unknown.detail == "its CA is unknown: give its CA file as the ca of the mirror"
            known = await ask(f"{host}/team/app:1", ca_files=((host, ca),))
            details[name] = known.status, known.detail

    assert details == {
        "": (CheckStatus.ABSENT, "HTTP 404"),
        "expired": (CheckStatus.UNTRUSTED, "it has expired"),
        "other": (CheckStatus.UNTRUSTED, "it is for another host"),
        "address": (CheckStatus.UNTRUSTED, "it is for another host"),
    }


@pytest.mark.parametrize(
    ("realm", "detail"),
    [
        ("http://127.0.0.1:{dead}/token", "the host that it leads to: connection refused"),
        ("https://auth.invalid/token", "the host that it leads to: "),
    ],
)
async def test_failure_of_the_token_server_is_not_that_of_the_registry(realm, detail):
    dead = unused_port().partition(":")[2]
    challenge = f'Bearer realm="{realm.format(dead=dead)}"'
    answer = f"HTTP/1.1 401 x\r\nContent-Length: 0\r\nWWW-Authenticate: {challenge}\r\n\r\n"
    with server(answer.encode()) as address:
        hosts = frozenset({address, f"127.0.0.1:{dead}"})
        result = await ask(f"{address}/team/app:1", plain_http=hosts)

    assert result.status is CheckStatus.UNREACHABLE
    assert result.detail.startswith(detail)


async def test_registry_is_asked_through_the_proxy_of_the_environment(
    tmp_path, monkeypatch, authority, ca
):
    image = "mirror.invalid/team/app:1"
    with (
        secured(tmp_path, authority.issue_cert("mirror.invalid")) as port,
        http_proxy({"mirror.invalid:443": f"127.0.0.1:{port}"}) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        through = await ask(image, use_proxies=True, ca_files=(("mirror.invalid", ca),))
        untrusted = await ask(image, use_proxies=True)
        count = len(proxy.heads)
        by_default = await ask(image)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.invalid")
        excepted = await ask(image, use_proxies=True)

    assert (through.status, untrusted.status) == (CheckStatus.ABSENT, CheckStatus.UNTRUSTED)
    assert {*proxy.heads} == {"CONNECT mirror.invalid:443 HTTP/1.1"}
    assert len(proxy.heads) == count
    assert by_default.status is excepted.status
    assert by_default.status is not CheckStatus.ABSENT


async def test_registry_without_tls_is_asked_through_the_proxy(plain, monkeypatch):
    image, hosts = "mirror.invalid:5000/team/app:1", frozenset({"mirror.invalid:5000"})
    with http_proxy({"mirror.invalid:5000": plain}, "robot:p@ss") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"robot:p%40ss@{proxy.address}")
        found = await ask(image, use_proxies=True, plain_http=hosts)
        monkeypatch.setenv("HTTP_PROXY", f"http://robot:wrong@{proxy.address}")
        refused = await ask(image, use_proxies=True, plain_http=hosts)

    assert found.status is CheckStatus.PRESENT
    assert (refused.status, refused.detail) == (
        CheckStatus.UNREACHABLE,
        "the proxy of HTTP_PROXY: HTTP 407",
    )


async def test_proxy_may_have_tls_of_its_own(tmp_path, monkeypatch, authority, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        secured(tmp_path, authority.issue_cert("mirror.invalid")) as port,
        http_proxy({"mirror.invalid:443": f"127.0.0.1:{port}"}, tls=context) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.address}")
        untrusted = await ask("mirror.invalid/a", use_proxies=True)
        monkeypatch.setenv("SSL_CERT_FILE", ca)
        found = await ask("mirror.invalid/a", use_proxies=True)

    assert found.status is CheckStatus.ABSENT
    assert untrusted.status is CheckStatus.UNTRUSTED
    assert proxy.heads == ["CONNECT mirror.invalid:443 HTTP/1.1"]


async def test_registry_that_wants_a_client_certificate_is_named(authority, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with http_proxy({}, tls=context) as strict:
        result = await ask(f"{strict.address}/a", ca_files=((strict.address, ca),))

    assert result.status is CheckStatus.UNREACHABLE
    assert result.detail == "TLS fails: tlsv13 alert certificate required"


async def test_failure_of_the_proxy_is_not_that_of_the_registry(monkeypatch, plain):
    details = []
    with http_proxy({"plain.invalid:443": plain}, "robot:right") as proxy, server(b"no\n") as wrong:
        for value in (
            f"http://{unused_port()}",
            f"http://robot:s3cr3t@{proxy.address}",
            f"http://{wrong}",
            "socks5://127.0.0.1:1",
        ):
            monkeypatch.setenv("HTTPS_PROXY", value)
            result = await ask("mirror.invalid/a", use_proxies=True)
            assert result.status is CheckStatus.UNREACHABLE
            details.append(result.detail)
            assert "s3cr3t" not in result.detail
        monkeypatch.setenv("HTTPS_PROXY", f"http://robot:right@{proxy.address}")
        unknown = await ask("mirror.invalid/a", use_proxies=True)
        without_tls = await ask("plain.invalid/a", use_proxies=True)

    assert details == [
        "the proxy of HTTPS_PROXY: connection refused",
        "the proxy of HTTPS_PROXY: HTTP 407",
        "the proxy of HTTPS_PROXY: the connection was interrupted",
        "HTTPS_PROXY has no proxy that can be used: write http://host:port",
    ]
    assert unknown.detail == "the proxy of HTTPS_PROXY: HTTP 502"
    assert "add plain.invalid to plainHTTP" in without_tls.detail


HELPER = f"""#!{sys.executable}
import json, sys
server = sys.stdin.readline().strip()
print(json.dumps({{"Username": "robot", "Secret": "{PASSWORD}" if ":" in server else ""}}))
"""


async def test_program_gives_the_login_for_a_registry(tmp_path, monkeypatch):
    program = tmp_path / "docker-credential-cloud"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "config.json"
    with registry(tmp_path, passwords=HTPASSWD) as locked:
        options = {"plain_http": frozenset({locked}), "credentials": (str(file),)}
        details = []
        for config in (
            {"credHelpers": {locked: "cloud"}},
            {"credsStore": "cloud"},
            {"credHelpers": {locked: "absent"}},
            {"credHelpers": {"other.example": "cloud"}},
        ):
            file.write_text(json.dumps(config))
            result = await ask(f"{locked}/team/app:1", **options)
            details.append(result.detail)
        file.write_bytes(secret((locked, "robot", "wrong")))
        wrong = await ask(f"{locked}/team/app:1", **options)

    assert details == [
        "HTTP 404",
        "HTTP 404",
        "its credential helper docker-credential-absent is not in the PATH",
        "no credentials are configured for it",
    ]
    assert wrong.detail == "it refuses the configured credentials: HTTP 401"
