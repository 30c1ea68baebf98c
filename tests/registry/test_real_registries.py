"""Questions to real registries, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest
import trustme

from tests.registry.fake_http import PASSWORD, secret
from tests.registry.fakes import RecordingObserver
from tests.tools import registry as registries
from tests.tools.faults import ANSWERS, faulty_proxy, unused_port
from tests.tools.loopback import NO_CAS
from tests.tools.registry import push_image, push_index, registry
from webhook.core import (
    Availability,
    MirrorMap,
    OnUnknown,
    Outcome,
    Rule,
    parse_platform,
    parse_reference,
)
from webhook.registry import CandidateSelector, CheckStatus, ImageCheck, create_checker

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry"),
]

HTPASSWD = "robot:$2b$04$abcdefghijklmnopqrstuuzaite.WmwcP4x1HNwW4SZHGx9urgD4C\n"
UNKNOWN = "sha256:" + "9" * 64


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def cas(monkeypatch):
    """No CAs but those that a test names."""
    for name, value in NO_CAS.items():
        monkeypatch.setenv(name, value)


class World:
    """A full registry, an empty one, and one with a login that has what the full one has."""

    def __init__(self, folder, full, empty, locked):
        self.folder, self.full, self.empty, self.locked = folder, full, empty, locked
        self.digest = push_image(full, "team/app:1", architecture="amd64")
        push_index(full, "team/many:1", ("amd64", "arm64"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registries")
    blobs = folder / "blobs"
    with (
        registry(folder, blobs=blobs) as full,
        registry(folder) as empty,
        registry(folder, blobs=blobs, passwords=HTPASSWD) as locked,
    ):
        yield World(folder, full, empty, locked)


def settings_for(*hosts, **options):
    """How to ask here, with more patience than a review has: the tests have a loaded machine."""
    patient = {"timeout": 10.0, "budget": 30.0, "plain_http": frozenset(hosts)}
    return Availability(**patient | options)


async def found(image, **options):
    """What one question finds, and in how many seconds."""
    reference = parse_reference(image)
    checker = create_checker(settings_for(reference.registry, **options), time.monotonic)
    try:
        return await checker.run(ImageCheck(reference, "mirror"))
    finally:
        await checker.close()


async def test_image_is_present_by_tag_and_digest(world):
    by_tag = await found(f"{world.full}/team/app:1")
    by_digest = await found(f"{world.full}/team/app@{world.digest}")

    assert by_tag.status is by_digest.status is CheckStatus.PRESENT
    assert by_tag.digest == by_digest.digest == world.digest


@pytest.mark.parametrize("name", ["team/app:2", "team/other:1", f"team/app@{UNKNOWN}"])
async def test_missing_image_is_absent(world, name):
    assert (await found(f"{world.full}/{name}")).status is CheckStatus.ABSENT
    assert (await found(f"{world.empty}/{name}")).status is CheckStatus.ABSENT


@pytest.mark.parametrize(
    ("name", "platform", "answer"),
    [
        ("team/many:1", "linux/amd64", CheckStatus.PRESENT),
        ("team/many:1", "linux/s390x", CheckStatus.PLATFORM),
        ("team/app:1", "linux/amd64", CheckStatus.PRESENT),
        ("team/app:1", "linux/arm64", CheckStatus.PLATFORM),
    ],
)
async def test_platforms_are_checked(world, name, platform, answer):
    platforms = (parse_platform(platform),)

    assert (await found(f"{world.full}/{name}", platforms=platforms)).status is answer


@pytest.mark.parametrize(
    ("password", "answer"),
    [
        (PASSWORD, CheckStatus.PRESENT),
        ("wrong", CheckStatus.UNAUTHORIZED),
        (None, CheckStatus.UNAUTHORIZED),
    ],
)
async def test_password_is_accepted_or_refused(world, tmp_path, password, answer):
    file = tmp_path / ".dockerconfigjson"
    file.write_bytes(secret((world.locked, "robot", password)) if password else b"{}")

    result = await found(f"{world.locked}/team/app:1", credentials=(str(file),))

    assert result.status is answer


FAULTS = {
    "hangs": CheckStatus.TIMEOUT,
    "drips": CheckStatus.TIMEOUT,
    "resets": CheckStatus.UNREACHABLE,
    "fails": CheckStatus.FAILED,
    "limits": CheckStatus.LIMITED,
    "page": CheckStatus.PAGE,
    "garbles": CheckStatus.UNREACHABLE,
}


@pytest.mark.parametrize(("mode", "answer"), FAULTS.items())
async def test_fault_becomes_result_in_time(world, mode, answer):
    with faulty_proxy(world.full) as proxy:
        assert (await found(f"{proxy.address}/team/app:1")).status is CheckStatus.PRESENT
        proxy.mode = mode
        timeout = 0.4 if answer is CheckStatus.TIMEOUT else 10.0
        result = await found(f"{proxy.address}/team/app:1", timeout=timeout)

    assert result.status is answer
    assert answer is not CheckStatus.TIMEOUT or 0.4 <= result.seconds < 10


async def test_closed_port_is_unreachable():
    result = await found(f"{unused_port()}/team/app:1")

    assert result.reason == "cannot be reached (connection refused)"


async def test_wrong_digest_is_mismatch(world):
    with faulty_proxy(world.full) as proxy:
        proxy.mode = "lies"
        result = await found(f"{proxy.address}/team/app@{world.digest}")

    assert result.status is CheckStatus.MISMATCH
    assert set(FAULTS) | {"lies"} >= set(ANSWERS)


async def test_credentials_are_sent_to_their_host_only(world, tmp_path):
    file = tmp_path / "config.json"
    with faulty_proxy(world.full) as proxy:
        file.write_bytes(secret((world.locked, "robot", PASSWORD), ("*.lan", "u", "x")))
        await found(f"{proxy.address}/team/app:1", credentials=(str(file),))
        head = b"".join(proxy.heads)

    assert head.startswith(b"HEAD /v2/team/app/manifests/1 HTTP/1.1")
    assert b"uthorization" not in head


async def test_tls_registry_needs_its_ca_file(tmp_path):
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    async with served_by(authority) as host:
        image = f"{host}/team/app:1"
        options = {"plain_http": frozenset()}
        without = await found(image, **options)
        trusted = await found(image, ca_files=((host, str(ca)),), **options)
        missing = await found(image, ca_files=((host, "none.pem"),), **options)
        wrong = await found(image, ca_files=((host, str(Path(__file__))),), **options)

    assert without.status is CheckStatus.UNTRUSTED
    assert trusted.status is CheckStatus.ABSENT
    assert "CA file none.pem cannot be read: No such file" in missing.reason
    assert "has no certificates" in wrong.reason


async def test_changed_ca_file_is_reread(tmp_path):
    authorities = [trustme.CA() for _ in range(3)]
    ca = tmp_path / "ca.pem"
    async with served_by(authorities[-1]) as host:
        settings = Availability(timeout=5.0, ca_files=((host, str(ca)),), negative_ttl=0.1)
        checker = create_checker(settings, time.monotonic)
        answers = []
        for number, authority in enumerate(authorities):
            ca.unlink(missing_ok=True)
            authority.cert_pem.write_to_path(str(ca))
            image = parse_reference(f"{host}/app:{number}")
            result = await checker.run(ImageCheck(image, "m"))
            answers.append(result.status)
        await checker.close()

    assert answers == [CheckStatus.UNTRUSTED, CheckStatus.UNTRUSTED, CheckStatus.ABSENT]


class served_by:  # noqa: N801 - it reads as a word
    """A server over TLS that has no image."""

    def __init__(self, authority):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.context)

    async def __aenter__(self):
        async def answered(reader, writer):
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        self.server = await asyncio.start_server(
            answered, "localhost", 0, ssl=self.context, family=2
        )
        return f"localhost:{self.server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self.server.close()


async def test_connections_are_reused():
    with faulty_proxy() as proxy:
        proxy.mode = "page"
        checker = create_checker(settings_for(proxy.address), time.monotonic)
        for number in range(20):
            image = parse_reference(f"{proxy.address}/app:{number}")
            await checker.run(ImageCheck(image, "m"))
        await checker.close()

        assert proxy.connections == 1


async def test_first_registry_with_image_is_selected(world):
    with faulty_proxy(world.full) as proxy:
        hosts = [unused_port(), world.empty, world.locked, proxy.address, world.full]
        rules = MirrorMap([Rule("docker.io", hosts)])
        observer = RecordingObserver()
        settings = settings_for(*hosts, timeout=4.0)
        checker = create_checker(settings, time.monotonic, observer)
        selector = CandidateSelector(checker)
        images = ["team/app:1", "team/many:1", "team/none:1"]
        decisions = [rules.decide(image) for image in images]

        first = await selector.choose(decisions, 30.0)
        proxy.mode = "hangs"
        unknown = [parse_reference(f"{proxy.address}/team/x{n}") for n in range(10)]
        await asyncio.gather(*(checker.run(ImageCheck(each, "m")) for each in unknown))
        # The circuit opens when images that were there don't answer either.
        await asyncio.sleep(2 * settings.timeout)
        second = await selector.choose(decisions, 30.0)
        await checker.close()

    assert [each.image for each in first] == [
        f"{proxy.address}/team/app:1",
        f"{proxy.address}/team/many:1",
        "team/none:1",
    ]
    assert first[2].outcome is Outcome.UNAVAILABLE
    assert second[0].image == f"{world.full}/team/app:1"
    assert f"{proxy.address} is not asked because it keeps failing" in second[0].reason
    assert (proxy.address, True, CheckStatus.TIMEOUT) in observer.switches


async def test_unknown_result_follows_settings(world):
    rules = MirrorMap([Rule("docker.io", [world.locked])])
    decision = rules.decide("team/app:1")
    outcomes = {}
    for on_unknown in OnUnknown:
        settings = settings_for(world.locked, on_unknown=on_unknown)
        checker = create_checker(settings, time.monotonic)
        (chosen,) = await CandidateSelector(checker).choose([decision], 30.0)
        outcomes[on_unknown] = (chosen.outcome, chosen.image)
        await checker.close()

    assert outcomes == {
        OnUnknown.MIRROR: (Outcome.UNCONFIRMED, f"{world.locked}/team/app:1"),
        OnUnknown.ORIGINAL: (Outcome.UNAVAILABLE, "team/app:1"),
    }


async def test_check_over_loopback_is_fast(world):
    checker = create_checker(settings_for(world.full), time.monotonic)
    times = []
    for number in range(30):
        image = parse_reference(f"{world.full}/team/app:{number}")
        result = await checker.run(ImageCheck(image, "m"))
        times.append(result.seconds)
    await checker.close()

    assert sorted(times)[15] < 5
