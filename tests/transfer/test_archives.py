"""Images into a folder, and from there into a registry that never saw upstream."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.tools.faults import faulty_proxy, unused_port
from tests.tools.registry import push_image, push_index
from tests.transfer.world import World, described, manifest_at, push_large, push_referrer

SKOPEO = shutil.which("skopeo")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def test_an_archive_fills_an_empty_registry_without_upstream(world, folder):
    image = push_image(world.upstream, "air/app:1", content="air")
    index = push_index(world.upstream, "air/many:1", ("amd64", "arm64"))
    subject = described(world.upstream, "air/app", image)
    sbom = push_referrer(world.upstream, "air/app", subject, "sbom")

    with faulty_proxy(world.upstream) as proxy:
        behind = World(world.folder, proxy.address, world.mirror)
        saved = behind.run("=air/app:1", "=air/many:1", "--archive", folder, "--save")
        proxy.mode = "resets"
        before = len(proxy.heads)
        loaded = behind.json("--archive", folder, "--load")
        again = behind.json("--archive", folder, "--load")

    assert (saved.exit_code, saved.stderr) == (0, "")
    assert len(proxy.heads) == before
    assert [entry["status"] for entry in loaded] == ["copied", "copied"]
    assert [entry["status"] for entry in again] == ["present", "present"]
    assert manifest_at(world.mirror, "m/air/app", "1")[1] == image
    assert manifest_at(world.mirror, "m/air/many", "1")[1] == index
    listed, _ = manifest_at(world.mirror, "m/air/app", image.replace(":", "-"))
    assert [each["digest"] for each in listed["manifests"]] == [sbom["digest"]]


def test_an_archive_is_an_image_layout_with_whole_names(world, folder):
    digest = push_image(world.upstream, "air/layout:1", content="layout")
    world.run("=air/layout:1", "--archive", folder, "--save")

    (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
    layout = json.loads((folder / "oci-layout").read_text())

    assert layout == {"imageLayoutVersion": "1.0.0"}
    assert entry["digest"] == digest
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == (
        f"{world.upstream}/air/layout:1"
    )


@pytest.mark.skipif(SKOPEO is None, reason="not installed: skopeo")
def test_other_tools_read_an_archive(world, folder):
    digest = push_image(world.upstream, "air/skopeo:1", content="skopeo")
    world.run("=air/skopeo:1", "--archive", folder, "--save")

    target = f"docker://{world.mirror}/by/skopeo:1"
    command = [
        SKOPEO,
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        f"oci:{folder}",
        target,
    ]
    subprocess.run(command, check=True, capture_output=True)

    assert manifest_at(world.mirror, "by/skopeo", "1")[1] == digest


@pytest.mark.skipif(SKOPEO is None, reason="not installed: skopeo")
def test_an_archive_of_other_tools_is_loaded(world, folder):
    digest = push_image(world.upstream, "air/theirs:1", content="theirs")
    image = f"{world.upstream}/air/theirs:1"
    command = [SKOPEO, "copy", "--quiet", "--src-tls-verify=false", f"docker://{image}"]
    subprocess.run([*command, f"oci:{folder}:{image}"], check=True, capture_output=True)

    (entry,) = world.json("--archive", folder, "--load")

    assert (entry["image"], entry["digest"]) == (image, digest)


def test_one_platform_in_an_archive_is_enough_to_load_it(world, folder):
    push_index(world.upstream, "air/part:1", ("amd64", "arm64"))
    (saved,) = world.json("=air/part:1", "--archive", folder, "--save", "--platform", "linux/amd64")
    (loaded,) = world.json("--archive", folder, "--load")

    assert (saved["status"], saved["notes"]) == ("copied", [])
    assert loaded["platforms"] == ["linux/amd64"]
    assert "takes no index without all of its manifests" in loaded["notes"][0]


def test_an_image_that_is_named_is_loaded_alone(world, folder):
    for name in ("a", "b"):
        push_image(world.upstream, f"air/{name}:1", content=name)
    world.run("=air/a:1", "=air/b:1", "--archive", folder, "--save")

    entries = world.json("=air/b:1", "=air/c:1", "--archive", folder, "--load")

    assert [entry["status"] for entry in entries] == ["copied", "failed"]
    assert "does not have 1" in entries[1]["error"]
    assert manifest_at(world.mirror, "m/air/a", "1") == (None, "")


def test_a_save_that_broke_off_goes_on_where_it_was(world, folder):
    push_large(world.upstream, "air/large:1")
    with faulty_proxy(world.upstream) as proxy:
        behind = World(world.folder, proxy.address, world.mirror)
        arguments = ("=air/large:1", "--archive", folder, "--save")
        proxy.cuts, proxy.cut_after, proxy.then = 1, 2_000_000, "resets"
        (first,) = behind.json(*arguments)
        partial = max(path.stat().st_size for path in folder.rglob("*.partial"))
        proxy.mode = "passes"
        (second,) = behind.json(*arguments)

    assert first["status"] == "failed"
    assert second["status"] == "copied"
    # A reset takes what is still on its way, and that is more on a busy machine.
    assert partial > 0
    assert second["sent"] <= second["size"] - partial


def test_content_that_was_changed_on_the_way_is_not_loaded(world, folder):
    push_image(world.upstream, "air/bad:1", content="bad")
    world.run("=air/bad:1", "--archive", folder, "--save")
    manifest, _ = manifest_at(world.upstream, "air/bad", "1")
    layer = manifest["layers"][0]["digest"]
    path = folder / "blobs" / layer.replace(":", "/")
    path.write_bytes(bytes(len(path.read_bytes())))

    (entry,) = world.json("--archive", folder, "--load")

    assert entry["status"] == "failed"
    assert f"blob {layer} from" in entry["error"]
    assert manifest_at(world.mirror, "m/air/bad", "1") == (None, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--save", "=a/b:1"), "--archive DIR with --save or --load"),
        (("--archive", "x", "=a/b:1"), "--archive DIR with --save or --load"),
        (("--archive", "no-such-folder", "--load"), "is no OCI image layout"),
    ],
)
def test_a_wrong_usage_is_told(world, arguments, told):
    result = world.run(*arguments)

    assert result.exit_code == 2
    assert told in result.stderr


def test_a_folder_with_something_else_in_it_is_left_alone(world, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")

    result = world.run("=a/b:1", "--archive", tmp_path / "full", "--save")

    assert result.exit_code == 2
    assert "name another folder by --archive" in result.stderr


def test_a_plan_of_a_save_makes_no_folder(world, folder):
    push_image(world.upstream, "air/plan:1", content="plan")

    result = world.run("=air/plan:1", "--archive", folder, "--save", "--dry-run")

    assert result.exit_code == 0
    assert not folder.exists()


def test_a_mirror_that_is_down_fails_what_is_loaded(world, folder):
    push_image(world.upstream, "air/down:1", content="down")
    world.run("=air/down:1", "--archive", folder, "--save")
    nowhere = World(world.folder, world.upstream, unused_port())

    (entry,) = nowhere.json("--archive", folder, "--load")

    assert "connection refused" in entry["error"]
