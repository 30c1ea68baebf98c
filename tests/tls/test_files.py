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
        moment = self.folder / f"..2026_{self.count}"
        moment.mkdir()
        (moment / "tls.crt").write_bytes(certificate)
        (moment / "tls.key").write_bytes(key)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(moment.name)
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
        asyncio.timeout(5),
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


def test_a_mounted_secret_is_read(mount, pair, now):
    mount.put(pair.chain, pair.key)
    assert mount.files.read(now) == pair


def test_plain_files_are_read(plain, pair, now):
    plain.chain.write_bytes(pair.chain)
    plain.key.write_bytes(pair.key)
    assert plain.read(now) == pair


def test_files_of_two_folders_are_read(tmp_path, mount, pair, now):
    mount.put(pair.chain, b"")
    (tmp_path / "elsewhere").mkdir()
    key = tmp_path / "elsewhere" / "tls.key"
    key.write_bytes(pair.key)
    assert CertificateFiles(mount.folder / "tls.crt", key).read(now) == pair


@pytest.mark.parametrize(("name", "other"), [("chain", "key"), ("key", "chain")])
def test_a_missing_file_is_named(plain, pair, now, name, other):
    getattr(plain, other).write_bytes(getattr(pair, other))
    with pytest.raises(CertificateError) as caught:
        plain.read(now)
    assert str(caught.value) == (f"cannot read {getattr(plain, name)}: No such file or directory")


def test_a_folder_is_no_file(plain, now):
    plain.chain.mkdir()
    with pytest.raises(CertificateError, match=r"c\.pem: Is a directory"):
        plain.read(now)


def test_a_file_that_is_wrong_is_named(mount, pair, other_pair, now):
    mount.put(pair.chain, other_pair.key)
    with pytest.raises(CertificateError) as caught:
        mount.files.read(now)
    assert str(caught.value) == (
        f"{mount.files.key} does not match {mount.files.chain}: "
        "it is the key of another certificate"
    )


def test_an_expired_certificate_is_refused(mount, pair, now):
    mount.put(pair.chain, pair.key)
    with pytest.raises(CertificateError) as caught:
        mount.files.read(now + timedelta(days=366))
    assert str(caught.value) == (f"{mount.files.chain} expired on 2027-11-25 12:00:00 UTC")


@pytest.mark.anyio
async def test_a_swap_of_the_mount_is_seen(mount, pair, other_pair, now):
    mount.put(pair.chain, pair.key)
    mount.put(other_pair.chain, other_pair.key)
    assert await first_change(mount.files, pair, lambda: now) == other_pair


@pytest.mark.anyio
async def test_every_change_is_seen_once(mount, pair, other_pair, now):
    mount.put(pair.chain, pair.key)
    seen = []
    async with (
        asyncio.timeout(5),
        aclosing(mount.files.watch(other_pair, lambda: now, interval=INTERVAL)) as changes,
    ):
        async for change in changes:
            seen.append(change)
            if len(seen) == 3:
                break
            await asyncio.sleep(INTERVAL * 5)
            each = (other_pair, pair)[len(seen) - 1]
            mount.put(each.chain, each.key)
    assert seen == [pair, other_pair, pair]


@pytest.mark.anyio
async def test_nothing_is_given_while_nothing_changes(mount, pair, now):
    mount.put(pair.chain, pair.key)
    await nothing_changes(mount.files, pair, lambda: now)


@pytest.mark.anyio
async def test_a_problem_is_given_once_and_its_end_is_seen(mount, pair, other_pair, now):
    mount.put(pair.chain, other_pair.key)
    async with (
        asyncio.timeout(5),
        aclosing(mount.files.watch(pair, lambda: now, interval=INTERVAL)) as changes,
    ):
        problem = await anext(changes)
        assert isinstance(problem, CertificateError)
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(INTERVAL * 10)
        assert not following.done()
        mount.put(other_pair.chain, other_pair.key)
        assert await following == other_pair


@pytest.mark.anyio
async def test_files_written_one_after_the_other_are_no_problem(plain, pair, other_pair, now):
    plain.chain.write_bytes(pair.chain)
    plain.key.write_bytes(pair.key)

    class Halfway:
        looks = 0

        def __call__(self):
            self.looks += 1
            if self.looks == 2:
                plain.chain.write_bytes(other_pair.chain)
            if self.looks == 3:
                plain.key.write_bytes(other_pair.key)
            return now

    assert await first_change(plain, pair, Halfway()) == other_pair


@pytest.mark.anyio
async def test_a_certificate_for_later_is_taken_up_when_its_time_has_come(mount, pair, now):
    later = create_self_signed(["a"], now=now + timedelta(hours=1))[0]
    mount.put(later.chain, later.key)
    times = iter([now, now, now, *[now + timedelta(hours=1)] * 1000])
    async with (
        asyncio.timeout(5),
        aclosing(mount.files.watch(pair, lambda: next(times), interval=INTERVAL)) as changes,
    ):
        problem = await anext(changes)
        assert str(problem).endswith("is not valid before 2026-11-25 12:55:00 UTC")
        assert await anext(changes) == later


def test_what_the_kubelet_removes_between_two_reads_is_read_anew(mount, pair, other_pair, now):
    """The first file is of the old moment, and the swap comes before the second."""
    mount.put(pair.chain, pair.key)

    class Swapping(type(mount.folder)):
        def read_bytes(self):
            content = super().read_bytes()
            if mount.count == 1:
                mount.put(other_pair.chain, other_pair.key)
            return content

    folder = Swapping(mount.folder)
    files = CertificateFiles(folder / "tls.crt", folder / "tls.key")
    assert files.read(now) == other_pair
