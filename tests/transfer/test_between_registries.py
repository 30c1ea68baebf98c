"""Images from one real registry to another."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from tests.tools.faults import faulty_proxy
from tests.tools.registry import push_image, push_index
from tests.transfer.world import (
    MIB,
    World,
    blob_at,
    described,
    manifest_at,
    push_large,
    push_referrer,
)


def test_an_image_is_copied_with_its_digest(world):
    digest = push_image(world.upstream, "team/app:1", content="one")

    result = world.run("=team/app:1")
    manifest, found = manifest_at(world.mirror, "m/team/app", "1")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"  copied   {world.upstream}/team/app:1 to {world.mirror}/m")
    assert found == digest
    for blob in (manifest["config"], *manifest["layers"]):
        assert len(blob_at(world.mirror, "m/team/app", blob["digest"]).content) == blob["size"]


def test_what_is_there_already_is_not_sent_again(world):
    push_image(world.upstream, "team/again:1", content="again")
    world.run("=team/again:1")
    with faulty_proxy(world.mirror) as proxy:
        behind = World(world.folder, world.upstream, proxy.address)
        (entry,) = behind.json("=team/again:1")
        methods = {head.split()[0] for head in proxy.heads}

    assert (entry["status"], entry["sent"]) == ("present", 0)
    assert methods <= {b"HEAD", b"GET"}


def test_all_platforms_of_an_index_are_copied(world):
    digest = push_index(world.upstream, "team/many:1", ("amd64", "arm64"))

    (entry,) = world.json("=team/many:1")
    index, found = manifest_at(world.mirror, "m/team/many", "1")

    assert entry["platforms"] == ["linux/amd64", "linux/arm64"]
    assert entry["digest"] == found == digest
    for child in index["manifests"]:
        assert manifest_at(world.mirror, "m/team/many", child["digest"])[0]


def test_a_chosen_platform_is_copied_alone_and_the_other_digest_is_told(world):
    push_index(world.upstream, "team/some:1", ("amd64", "arm64", "s390x"))

    (entry,) = world.json("=team/some:1", "--platform", "linux/arm64")
    index, found = manifest_at(world.mirror, "m/team/some", "1")
    again = world.json("=team/some:1", "--platform", "linux/arm64")

    (child,) = index["manifests"]
    assert child["platform"]["architecture"] == "arm64"
    assert manifest_at(world.mirror, "m/team/some", child["digest"])[0]
    assert entry["platforms"] == ["linux/arm64"]
    assert entry["digest"] == found
    assert found in entry["notes"][0]
    assert again[0]["status"] == "present"


def test_an_index_by_digest_is_not_copied_for_one_platform_where_that_is_refused(world):
    digest = push_index(world.upstream, "team/pinned:1", ("amd64", "arm64"))

    (entry,) = world.json(f"=team/pinned@{digest}", "--platform", "linux/arm64")

    assert entry["status"] == "failed"
    assert "leave out --platform" in entry["error"]


@pytest.mark.parametrize("kind", ["index", "image"])
def test_an_image_for_other_platforms_only_fails(world, kind):
    if kind == "index":
        push_index(world.upstream, "team/other:1", ("amd64", "arm64"))
    else:
        push_image(world.upstream, "team/other:1", architecture="amd64")

    result = world.run("=team/other:1", "--platform", "linux/s390x")

    assert result.exit_code == 1
    assert "linux/amd64" in result.stderr
    assert "--platform asks for linux/s390x" in result.stderr


def test_an_image_is_copied_by_digest_and_by_both(world):
    digest = push_image(world.upstream, "team/digest:1", content="digest")

    result = world.run(f"=team/digest@{digest}", f"=team/digest:2@{digest}")

    assert result.exit_code == 0, result.output
    assert manifest_at(world.mirror, "m/team/digest", digest)[1] == digest
    assert manifest_at(world.mirror, "m/team/digest", "2")[1] == digest


def test_referrers_are_copied_and_referrers_of_these(world):
    digest = push_image(world.upstream, "team/signed:1", content="signed")
    subject = described(world.upstream, "team/signed", digest)
    sbom = push_referrer(world.upstream, "team/signed", subject, "sbom")
    signature = push_referrer(world.upstream, "team/signed", sbom, "signature")
    second = push_referrer(world.upstream, "team/signed", subject, "second")

    first = world.json("=team/signed:1")
    again = world.json("=team/signed:1")

    def referrers(of):
        tag = of["digest"].replace(":", "-")
        index, _ = manifest_at(world.mirror, "m/team/signed", tag)
        return [each["digest"] for each in index["manifests"]]

    assert referrers(subject) == [sbom["digest"], second["digest"]]
    assert referrers(sbom) == [signature["digest"]]
    assert (first[0]["status"], first[0]["referrers"]) == ("copied", 3)
    assert (again[0]["status"], again[0]["referrers"]) == ("present", 3)


def test_a_referrer_that_came_later_is_copied_later(world):
    digest = push_image(world.upstream, "team/later:1", content="later")
    world.run("=team/later:1")
    subject = described(world.upstream, "team/later", digest)
    push_referrer(world.upstream, "team/later", subject, "late")

    (entry,) = world.json("=team/later:1")

    assert (entry["status"], entry["referrers"]) == ("copied", 1)


def test_a_blob_that_another_repository_has_is_mounted(world):
    push_image(world.upstream, "team/one:1", content="the same")
    push_image(world.upstream, "team/two:1", content="the same")

    entries = world.json("=team/one:1", "=team/two:1")

    assert sorted(entry["sent"] > 0 for entry in entries) == [False, True]
    assert sorted(entry["mounted"] > 0 for entry in entries) == [False, True]
    assert manifest_at(world.mirror, "m/team/two", "1")[0]


def test_inside_one_registry_nothing_is_sent(world):
    push_image(world.upstream, "old/app:1", content="moved")
    world.rules.write_text(
        f'rules: [{{match: "{world.upstream}/old", mirrors: ["{world.upstream}/new"]}}]'
    )

    (entry,) = world.json("=old/app:1")

    assert (entry["status"], entry["sent"]) == ("copied", 0)
    assert entry["mounted"] > 0


def test_an_image_that_is_missing_does_not_stop_the_others(world):
    push_image(world.upstream, "team/here:1", content="here")

    result = world.run("=team/none:1", "=team/here:1", "BAD")

    assert result.exit_code == 1
    assert f"{world.upstream}/team/none does not have 1" in result.stderr
    assert "Error: 2 of 3 images not copied:" in result.stderr
    assert "must be in lower case" in result.stderr
    assert manifest_at(world.mirror, "m/team/here", "1")[0]


def test_a_plan_has_sizes_and_sends_nothing(world):
    push_image(world.upstream, "team/plan:1", content="plan")
    with faulty_proxy(world.mirror) as proxy:
        behind = World(world.folder, world.upstream, proxy.address)
        result = behind.run("=team/plan:1", "quay.io/a/b:1", "--dry-run")
        (entry,) = behind.json("=team/plan:1", "--dry-run")
        methods = {head.split()[0] for head in proxy.heads}
    world.run("=team/plan:1")
    done = world.run("=team/plan:1", "--dry-run")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == ["IMAGE", "TO", "PLATFORMS", "SIZE", "TO", "SEND"]
    assert f"{proxy.address}/m/team/plan:1" in lines[1]
    assert "skipped: no rule matches quay.io/a/b" in lines[2]
    assert (entry["status"], entry["size"]) == ("planned", entry["sent"])
    assert methods == {b"HEAD"}
    assert "there already" in done.stdout


@pytest.mark.parametrize("how", ["resets", "drips"])
@pytest.mark.parametrize("side", ["upstream", "mirror"])
def test_a_fault_in_the_middle_of_a_blob_is_gone_on_from(world, how, side):
    digest = push_large(world.upstream, f"team/{side}-{how}:1")
    with faulty_proxy(getattr(world, side)) as proxy:
        proxy.cuts, proxy.cut_by, proxy.cut_after = 2, how, 3_000_000
        ends = {"upstream": world.upstream, "mirror": world.mirror, side: proxy.address}
        behind = World(world.folder, **ends)
        (entry,) = behind.json(f"=team/{side}-{how}:1", "--timeout", "1")
        heads = [head.partition(b"\r\n\r\n")[0].lower() for head in proxy.heads]

    assert entry["error"] is None
    assert proxy.cuts == 0
    assert manifest_at(world.mirror, f"m/team/{side}-{how}", "1")[1] == digest
    if side == "upstream":
        assert [head for head in heads if b"\r\nrange: bytes=" in head]


def command_of(world, image, *options):
    """The words of a command that a process of its own runs."""
    hosts = [f"--plain-http={host}" for host in (world.upstream, world.mirror)]
    command = [sys.executable, "-m", "webhook", "copy", "-c", str(world.rules), *hosts]
    return [*command, f"{world.upstream}/{image}", *options]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux")
def test_a_blob_is_never_in_memory_as_a_whole(world):
    size = 112 * MIB
    push_large(world.upstream, "team/huge:1", size)
    words = command_of(world, "team/huge:1")[3:]
    code = (
        "import sys; from pathlib import Path; from webhook.cli.main import mirrorhook\n"
        f"mirrorhook.main({words!r}, standalone_mode=False)\n"
        "print(Path('/proc/self/status').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)

    assert manifest_at(world.mirror, "m/team/huge", "1")[0]
    # All of Python and of the libraries is in there, a third of it.
    assert int(most) * 1024 < size


def test_who_interrupts_it_is_told_how_it_goes_on(world):
    push_image(world.upstream, "team/slow:1", content="slow")
    with faulty_proxy(world.upstream) as proxy:
        proxy.mode = "hangs"
        behind = World(world.folder, proxy.address, world.mirror)
        with subprocess.Popen(
            command_of(behind, "team/slow:1"), stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 30
            while not proxy.heads and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert told == "Interrupted: the next run goes on from here\n"


def test_a_registry_that_is_down_is_tried_again_and_told(world):
    push_image(world.upstream, "team/down:1", content="down")
    with faulty_proxy(world.upstream) as proxy:
        proxy.mode = "fails"
        behind = World(world.folder, proxy.address, world.mirror)
        (entry,) = behind.json("=team/down:1")

    assert len(proxy.heads) == 5
    assert f"{proxy.address} fails (HTTP 503)" in entry["error"]
