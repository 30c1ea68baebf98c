from __future__ import annotations

import asyncio
import ssl
import stat
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.tls import AllowedClients, Certificate, CertificateError, ServingContext
from webhook.tls.ca import create_self_signed
from webhook.tls.context import pem_file


@pytest.fixture
def made():
    return [create_self_signed(["localhost"], now=datetime.now(UTC)) for _ in range(2)]


def trusting(*authorities):
    context = ssl.create_default_context(cadata=b"".join(authorities).decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def connect(server, context):
    host, port = server.sockets[0].getsockname()
    return await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost")


async def say(connection, text):
    reader, writer = connection
    writer.write(text)
    async with asyncio.timeout(60):
        return await reader.readline()


@pytest.mark.anyio
async def test_new_handshakes_get_the_new_certificate_and_open_connections_go_on(made):
    (old, old_authority), (new, new_authority) = made
    serving = ServingContext(old)
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving.context) as server:
        before = await connect(server, trusting(old_authority))
        serving.use(new)
        after = await connect(server, trusting(new_authority))
        assert serving.certificate is new
        assert await say(before, b"old\n") == b"old\n"
        assert await say(after, b"new\n") == b"new\n"
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(server, trusting(old_authority))
        for _, writer in (before, after):
            writer.close()


@pytest.mark.anyio
async def test_refused_certificate_leaves_the_live_context_working(made):
    (old, authority), (new, _) = made
    serving = ServingContext(old)
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving.context) as server:
        with pytest.raises(
            CertificateError, match="OpenSSL refuses the certificate for localhost: "
        ):
            serving.use(replace(new, key=old.key))
        assert serving.certificate is old
        connection = await connect(server, trusting(authority))
        assert await say(connection, b"still here\n") == b"still here\n"
        connection[1].close()


def test_key_too_short_for_openssl_is_refused(make_certificate, certificate):
    names = x509.SubjectAlternativeName([x509.DNSName("a.b.svc")])
    weak = make_certificate(names, key=rsa.generate_private_key(65537, 1024))
    read = Certificate.parse(weak.certificate, weak.key)
    with pytest.raises(CertificateError, match="EE_KEY_TOO_SMALL"):
        ServingContext(certificate).use(read)


@pytest.mark.anyio
async def test_context_offers_http_1_1_and_no_old_tls(made):
    (certificate, authority), _ = made
    serving = ServingContext(certificate)
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving.context) as server:
        client = trusting(authority)
        client.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await connect(server, client)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()
    assert serving.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_pem_file_is_private_and_in_memory(certificate):
    with pem_file(certificate.chain + certificate.key) as path:
        status = Path(path).stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert Path(path).read_bytes() == certificate.chain + certificate.key
        assert str(Path(path).readlink()).startswith("/memfd:")
    assert not Path(path).exists()


def test_pem_file_on_disk_is_private_and_removed(certificate):
    with pem_file(certificate.chain + certificate.key, in_memory=False) as path:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        assert path.startswith(tempfile.gettempdir())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    assert not Path(path).exists()


def test_clients_that_a_file_allows_are_read_or_the_problem_is_named(tmp_path, certificate):
    path = tmp_path / "ca.crt"
    with pytest.raises(CertificateError, match=r"ca\.crt: No such file .*; check the path"):
        AllowedClients.read(path)
    for content in (b"", b"hello", b"\xff", certificate.key):
        path.write_bytes(content)
        with pytest.raises(CertificateError, match=r"; give one in PEM$"):
            AllowedClients.read(path)
    path.write_bytes(certificate.chain)
    assert AllowedClients.read(path).authorities == certificate.chain.decode()


@pytest.mark.parametrize(
    ("names", "allowed"),
    [((), True), (("kube-apiserver",), True), (("api.example",), True), (("kubelet",), False)],
)
def test_clients_are_allowed_by_common_name_or_alternative_name(names, allowed):
    peer = {
        "subject": ((("organizationName", "kubelet"),), (("commonName", "kube-apiserver"),)),
        "subjectAltName": (("DNS", "api.example"),),
    }
    problem = AllowedClients("", frozenset(names)).find_problem(peer)
    assert (problem == "") is allowed
    assert allowed or "kube-apiserver, api.example" in problem
    assert (AllowedClients("", frozenset(names)).find_problem(None) == "") is (not names)
