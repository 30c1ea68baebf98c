from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from webhook.tls import CertificateError, CertificateFiles
from webhook.tls.ca import create_self_signed

INTERVAL = 0.01


class Mount:
    """A folder in which a Secret is mounted, as the kubelet does it."""

    def __init__(self, folder):
        self.folder = folder
        self.files = CertificateFiles(folder / "tls.crt", folder / "tls.key")
        self.count = 0

    def put(self, certificate, key):
        self.count += 1
        version = self.folder / f"..2026_{self.count}"
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        old = self.folder / f"..2026_{self.count - 1}"
        if old.exists():
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


@pytest.fixture
def mount(tmp_path):
    return Mount(tmp_path)


@pytest.fixture
def plain(tmp_path):
    return CertificateFiles(tmp_path / "c.pem", tmp_path / "k.pem")


async def first_change(files, used, clock):
    async with (
        asyncio.timeout(60),
        aclosing(files.watch(used, clock, interval=INTERVAL)) as changes,
    ):
        return await anext(changes)


async def nothing_changes(files, used, clock):
    with pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(INTERVAL * 20),
            aclosing(files.watch(used, clock, interval=INTERVAL)) as changes,
        ):
            await anext(changes)


def test_mounted_secret_is_read(mount, certificate, now):
    mount.put(certificate.chain, certificate.key)
    assert mount.files.read(now) == certificate


def test_plain_files_are_read(plain, certificate, now):
    plain.chain.write_bytes(certificate.chain)
    plain.key.write_bytes(certificate.key)
    assert plain.read(now) == certificate


def test_files_of_two_folders_are_read(tmp_path, mount, certificate, now):
    mount.put(certificate.chain, b"")
    (tmp_path / "elsewhere").mkdir()
    key = tmp_path / "elsewhere" / "tls.key"
    key.write_bytes(certificate.key)
    assert CertificateFiles(mount.folder / "tls.crt", key).read(now) == certificate


@pytest.mark.parametrize(("name", "other"), [("chain", "key"), ("key", "chain")])
def test_missing_file_is_named(plain, certificate, now, name, other):
    getattr(plain, other).write_bytes(getattr(certificate, other))
    with pytest.raises(CertificateError) as caught:
        plain.read(now)
    assert str(caught.value) == (
        f"cannot read {getattr(plain, name)}: No such file or directory; "
        "check the path and its permissions"
    )


def test_folder_in_place_of_a_file_is_refused(plain, now):
    plain.chain.mkdir()
    with pytest.raises(CertificateError, match=r"c\.pem: Is a directory"):
        plain.read(now)


def test_files_that_do_not_match_are_named(mount, certificate, other_certificate, now):
    mount.put(certificate.chain, other_certificate.key)
    with pytest.raises(CertificateError) as caught:
        mount.files.read(now)
    assert str(caught.value) == (
        f"{mount.files.key} does not match {mount.files.chain}: "
        "it is the key of another certificate; use the files of one certificate"
    )


def test_expired_certificate_is_refused(mount, certificate, now):
    mount.put(certificate.chain, certificate.key)
    with pytest.raises(CertificateError) as caught:
        mount.files.read(now + timedelta(days=366))
    assert str(caught.value) == (
        f"{mount.files.chain} expired on 2027-11-25 12:00:00 UTC; "
        "renew it, or correct the clock of this machine"
    )


@pytest.mark.anyio
async def test_swap_of_the_mount_is_yielded(mount, certificate, other_certificate, now):
    mount.put(certificate.chain, certificate.key)
    mount.put(other_certificate.chain, other_certificate.key)
    assert await first_change(mount.files, certificate, lambda: now) == other_certificate


@pytest.mark.anyio
async def test_every_change_is_yielded_once(mount, certificate, other_certificate, now):
    mount.put(certificate.chain, certificate.key)
    seen = []
    async with (
        asyncio.timeout(60),
        aclosing(mount.files.watch(other_certificate, lambda: now, interval=INTERVAL)) as changes,
    ):
        async for change in changes:
            seen.append(change)
            if len(seen) == 3:
                break
            await asyncio.sleep(INTERVAL * 5)
            each = (other_certificate, certificate)[len(seen) - 1]
            mount.put(each.chain, each.key)
    assert seen == [certificate, other_certificate, certificate]


@pytest.mark.anyio
async def test_unchanged_files_yield_nothing(mount, certificate, now):
    mount.put(certificate.chain, certificate.key)
    await nothing_changes(mount.files, certificate, lambda: now)


@pytest.mark.anyio
async def test_problem_is_yielded_once_and_then_the_next_certificate(
    mount, certificate, other_certificate, now
):
    mount.put(certificate.chain, other_certificate.key)
    async with (
        asyncio.timeout(60),
        aclosing(mount.files.watch(certificate, lambda: now, interval=INTERVAL)) as changes,
    ):
        problem = await anext(changes)
        assert isinstance(problem, CertificateError)
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(INTERVAL * 10)
        assert not following.done()
        mount.put(other_certificate.chain, other_certificate.key)
        assert await following == other_certificate


@pytest.mark.anyio
async def test_files_written_one_after_the_other_yield_no_problem(
    plain, certificate, other_certificate, now
):
    plain.chain.write_bytes(certificate.chain)
    plain.key.write_bytes(certificate.key)

    class Halfway:
        looks = 0

        def __call__(self):
            self.looks += 1
            if self.looks == 2:
                plain.chain.write_bytes(other_certificate.chain)
            if self.looks == 3:
                plain.key.write_bytes(other_certificate.key)
            return now

    assert await first_change(plain, certificate, Halfway()) == other_certificate


@pytest.mark.anyio
async def test_certificate_is_yielded_when_it_becomes_valid(mount, certificate, now):
    later = create_self_signed(["a"], now=now + timedelta(hours=1))[0]
    mount.put(later.chain, later.key)
    times = iter([now, now, now, *[now + timedelta(hours=1)] * 1000])
    async with (
        asyncio.timeout(60),
        aclosing(mount.files.watch(certificate, lambda: next(times), interval=INTERVAL)) as changes,
    ):
        problem = await anext(changes)
        assert str(problem).endswith(
            "is not valid before 2026-11-25 12:55:00 UTC; "
            "renew it, or correct the clock of this machine"
        )
        assert await anext(changes) == later


def test_files_removed_between_two_reads_are_read_again(mount, certificate, other_certificate, now):
    """The swap comes between the first file and the second."""
    mount.put(certificate.chain, certificate.key)

    class Swapping(type(mount.folder)):
        def read_bytes(self):
            content = super().read_bytes()
            if mount.count == 1:
                mount.put(other_certificate.chain, other_certificate.key)
            return content

    folder = Swapping(mount.folder)
    files = CertificateFiles(folder / "tls.crt", folder / "tls.key")
    assert files.read(now) == other_certificate
