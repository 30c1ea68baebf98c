"""Images from one real registry to another, by each engine."""

from __future__ import annotations

import json
import os

import pytest

from tests.copying.world import (
    World,
    blob_at,
    described,
    manifest_at,
    push_large,
    push_referrer,
)
from tests.tools.faults import UNKNOWN_HOST, faulty_proxy, has_dns, unused_port
from tests.tools.registry import push_image, push_index, registry

PASSWORD = "s3cr3t-p4ss"
HTPASSWD = "robot:$2b$04$abcdefghijklmnopqrstuuzaite.WmwcP4x1HNwW4SZHGx9urgD4C\n"


def put(world, name, **more):
    return push_image(world.upstream, f"{world.team}/{name}", **more)


def put_index(world, name, *architectures):
    return push_index(world.upstream, f"{world.team}/{name}", architectures)


def test_image_is_copied_with_its_digest_and_blobs(world):
    digest = put(world, "app:1", content="one")
    done = world.run("=app:1")
    manifest, found = manifest_at(world.mirror, f"m/{world.team}/app", "1")
    assert (done.returncode, found) == (0, digest)
    target = f"{world.mirror}/m/{world.team}/app:1"
    image = f"{world.upstream}/{world.team}/app:1"
    assert done.stderr.splitlines() == [f"copied  {image} to {target}", "1 copied"]
    assert done.stdout.splitlines()[1].split() == ["copied", image, target]
    for blob in (manifest["config"], *manifest["layers"]):
        found = blob_at(world.mirror, f"m/{world.team}/app", blob["digest"])
        assert len(found.content) == blob["size"]


def test_image_that_the_mirror_has_is_not_copied_again(world):
    put(world, "again:1", content="again")
    world.run("=again:1")
    with faulty_proxy(world.mirror) as proxy:
        behind = World(world.folder, world.upstream, proxy.address, world.engine)
        behind.team = world.team
        (entry,) = behind.json("=again:1")
        methods = {head.split()[0] for head in proxy.heads}
    assert entry["status"] == "present"
    assert methods == {b"HEAD"}


def test_all_platforms_of_an_index_are_copied(world):
    digest = put_index(world, "many:1", "amd64", "arm64")
    (entry,) = world.json("=many:1")
    index, found = manifest_at(world.mirror, f"m/{world.team}/many", "1")
    assert entry["status"] == "copied"
    assert entry["digest"] == found == digest
    for child in index["manifests"]:
        assert world.at_mirror(f"many@{child['digest']}")


def test_one_platform_is_copied_without_the_others(world):
    put_index(world, "some:1", "amd64", "arm64")
    (entry,) = world.json("=some:1", "--platform", "linux/arm64")
    (again,) = world.json("=some:1", "--platform", "linux/arm64")
    index, _ = manifest_at(world.upstream, f"{world.team}/some", "1")
    first, second = (child["digest"] for child in index["manifests"])
    assert (entry["status"], again["status"]) == ("copied", "present")
    assert entry["digest"] == world.at_mirror("some:1") == second
    assert world.at_mirror(f"some@{first}") is None


def test_platform_with_a_digest_copies_the_whole_index_at_a_registry_that_wants_it_whole(world):
    digest = put_index(world, "pinned:1", "amd64", "arm64")
    (entry,) = world.json(f"=pinned@{digest}", "--platform", "linux/arm64")
    assert (entry["status"], entry["digest"]) == ("copied", digest)
    assert world.at_mirror(f"pinned@{digest}") == digest
    assert "--platform cannot change what a digest names" in entry["notes"][0]


def test_platform_that_an_image_lacks_is_an_error_that_names_those_it_has(world):
    put_index(world, "other:1", "amd64", "arm64")
    (entry,) = world.json("=other:1", "--platform", "linux/s390x")
    assert entry["status"] == "failed"
    assert entry["reason"] == "it is not for linux/s390x, only for linux/amd64, linux/arm64"


def test_image_is_copied_by_digest_and_by_tag_and_digest(world):
    digest = put(world, "digest:2", content="digest")
    done = world.run(f"=digest@{digest}", f"=digest:2@{digest}")
    assert done.returncode == 0, done.stderr
    assert world.at_mirror(f"digest@{digest}") == digest
    assert world.at_mirror("digest:2") == digest


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_tag_stays_that_of_upstream_whatever_the_order(world, order):
    old = put(world, "app:latest", content="old")
    new = put(world, "app:latest", content="new")
    images = ["=app:latest", f"=app:latest@{old}"]
    entries = world.json(*(images[index] for index in order), "--parallel", "1")
    assert {entry["status"] for entry in entries} == {"copied"}
    assert world.at_mirror("app:latest") == new
    assert world.at_mirror(f"app@{old}") == old
    pinned = next(entry for entry in entries if entry["image"].endswith(old))
    assert "by its digest only" in pinned["notes"][0]
    assert pinned["target"].endswith(f"/app@{old}")


def test_missing_image_does_not_stop_the_others(world):
    put(world, "here:1", content="here")
    done = world.run("=none:1", "=here:1", "BAD", "quay.io/a/b:1")
    assert done.returncode == 1
    assert f"{world.upstream} does not have {world.upstream}/{world.team}/none:1" in done.stdout
    assert "must be in lower case" in done.stdout
    assert "no rule matches quay.io/a/b" in done.stdout
    assert done.stderr.splitlines()[-1] == "1 copied, 1 skipped, 2 failed"
    assert world.at_mirror("here:1")


def test_digest_that_upstream_lacks_is_an_error(world):
    put(world, "app:1")
    missing = f"sha256:{'0' * 64}"
    (entry,) = world.json(f"=app@{missing}")
    assert entry["status"] == "failed"
    assert entry["reason"].startswith(f"{world.engine}: ")
    assert world.at_mirror(f"app@{missing}") is None


def test_engine_that_reports_success_without_copying_is_found_out(world):
    put(world, "lie:1")
    program = world.home / "bin" / world.engine
    program.unlink()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    (entry,) = world.json("=lie:1")
    assert entry["status"] == "failed"
    assert f"{world.engine} reported success, but " in entry["reason"]


def test_login_of_docker_is_used(tmp_path, upstream, engine):
    blobs = tmp_path / "blobs"
    with (
        registry(tmp_path, blobs=blobs, passwords=HTPASSWD) as locked,
        registry(tmp_path, passwords=HTPASSWD) as mirror,
        registry(tmp_path, blobs=blobs) as beside,
    ):
        world = World(tmp_path, locked, mirror, engine)
        push_image(beside, f"{world.team}/a:1")
        without = world.run("=a:1")
        config = world.home / ".docker/config.json"
        config.write_text(json.dumps({"auths": dict.fromkeys((locked, mirror), LOGIN)}))
        done = world.run("=a:1")
    assert (without.returncode, done.returncode) == (1, 0), (without, done)
    assert PASSWORD not in without.stderr + done.stderr + done.stdout


LOGIN = {"username": "robot", "password": PASSWORD, "auth": "cm9ib3Q6czNjcjN0LXA0c3M="}
HELPER = f"""#!/bin/sh
echo '{{"Username": "robot", "Secret": "{PASSWORD}"}}'
"""


def test_credential_helper_is_used_as_the_engine_does(tmp_path, upstream, engine):
    blobs = tmp_path / "blobs"
    with (
        registry(tmp_path, passwords=HTPASSWD, blobs=blobs) as locked,
        registry(tmp_path, blobs=blobs) as beside,
    ):
        world = World(tmp_path, upstream, locked, engine)
        digest = push_image(upstream, f"{world.team}/a:1")
        helper = world.home / "bin/docker-credential-cloud"
        helper.write_text(HELPER)
        helper.chmod(0o755)
        config = world.home / ".docker/config.json"
        config.write_text(json.dumps({"credHelpers": {locked: "cloud"}}))
        path = {"PATH": f"{world.home}/bin:/usr/bin:/bin"}
        (entry,) = world.json("=a:1", **path)
        found = manifest_at(beside, f"m/{world.team}/a", "1")[1]
        (again,) = world.json("=a:1", **path)
    assert (entry["status"], found) == ("copied", digest), entry
    assert again["status"] == "present"


@pytest.mark.parametrize("name", ["regctl", "skopeo"])
def test_proxy_of_the_environment_is_used_as_the_engine_does(request, name, tmp_path, mirror):
    upstream = request.getfixturevalue(f"{name}_world").upstream
    # Only the proxy knows this host: it is the registry itself, which takes whole URLs.
    world = World(tmp_path, upstream, "mirror.invalid:5000", name)
    digest = put(world, "app:1")
    without = world.run("=app:1")
    (entry,) = world.json("=app:1", HTTP_PROXY=f"http://{mirror}")
    (again,) = world.json("=app:1", HTTP_PROXY=f"http://{mirror}")
    assert without.returncode == 1
    assert (entry["status"], again["status"]) == ("copied", "present"), entry
    assert manifest_at(mirror, f"m/{world.team}/app", "1")[1] == digest


def test_name_that_does_not_exist_is_not_tried_by_the_engine(tmp_path, upstream, engine):
    if not has_dns():
        pytest.skip("DNS does not answer")
    world = World(tmp_path, upstream, UNKNOWN_HOST, engine, plain=(upstream,))
    put(world, "app:1")
    log = world.home / "engine"
    link = world.home / "bin" / engine
    program = link.resolve()
    link.unlink()
    link.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {program} "$@"\n')
    link.chmod(0o755)
    (entry,) = world.json("=app:1", PATH=f"{world.home}/bin:/usr/bin:/bin")
    assert entry["status"] == "failed"
    assert entry["reason"] == f"{UNKNOWN_HOST} does not exist in DNS"
    assert not log.exists()


def test_failure_of_the_engine_begins_with_what_we_found_out(tmp_path, upstream, skopeo_world):
    with registry(tmp_path, passwords=HTPASSWD) as locked:
        reasons = {
            skopeo_world.mirror: f"it does not speak TLS: if it has plain HTTP only, add "
            f"{skopeo_world.mirror} to plainHTTP",
            locked: "no credentials are configured for it",
            unused_port(): "connection refused",
        }
        for mirror, reason in reasons.items():
            plain = (upstream,) if mirror == skopeo_world.mirror else (upstream, mirror)
            world = World(tmp_path, upstream, mirror, "skopeo", plain=plain)
            put(world, "app:1")
            (entry,) = world.json("=app:1")
            assert entry["status"] == "failed"
            assert entry["reason"].startswith(f"{mirror} ")
            assert f"({reason}); skopeo: " in entry["reason"]


def test_referrers_are_copied_by_regctl(regctl_world):
    world = regctl_world
    digest = put(world, "signed:1", content="signed")
    subject = described(world.upstream, f"{world.team}/signed", digest)
    sbom = push_referrer(world.upstream, f"{world.team}/signed", subject, "sbom")
    tag = digest.replace(":", "-")
    world.run("=signed:1")
    assert world.at_mirror(f"signed:{tag}") is None
    (entry,) = world.json("=signed:1", "--referrers")
    index, _ = manifest_at(world.mirror, f"m/{world.team}/signed", tag)
    assert [each["digest"] for each in index["manifests"]] == [sbom["digest"]]
    assert entry["status"] == "present"


def test_digest_tags_are_copied_by_regctl(regctl_world):
    world = regctl_world
    digest = put(world, "cosigned:1", content="cosigned")
    tag = digest.replace(":", "-") + ".sig"
    put(world, f"cosigned:{tag}", content="signature")
    world.run("=cosigned:1", "--digest-tags")
    assert world.at_mirror(f"cosigned:{tag}")


def test_several_platforms_get_an_index_by_regctl(regctl_world):
    world = regctl_world
    put_index(world, "three:1", "amd64", "arm64", "s390x")
    options = ("--platform", "linux/amd64", "--platform", "linux/s390x")
    (entry,) = world.json("=three:1", *options)
    (again,) = world.json("=three:1", *options)
    index, _ = manifest_at(world.mirror, f"m/{world.team}/three", "1")
    platforms = [each["platform"]["architecture"] for each in index["manifests"]]
    assert platforms == ["amd64", "s390x"]
    assert (entry["status"], again["status"]) == ("copied", "present")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--referrers"], "--referrers"),
        (["--digest-tags"], "--digest-tags"),
        (["--platform", "linux/amd64", "--platform", "linux/arm64"], "several --platform"),
    ],
)
def test_engine_that_cannot_names_one_that_can(skopeo_world, options, what):
    done = skopeo_world.run("=a:1", *options)
    assert done.returncode == 2
    assert f"skopeo cannot do {what}; use --engine regctl" in done.stderr


def test_large_layer_is_copied(world):
    digest = push_large(world.upstream, f"{world.team}/large:1")
    world.run("=large:1")
    assert world.at_mirror("large:1") == digest


def test_first_engine_on_the_path_is_used(skopeo_world):
    put(skopeo_world, "first:1")
    (entry,) = skopeo_world.json("=first:1")
    assert entry["engine"] == "skopeo"
    done = skopeo_world.run("=first:1", "--engine", "regctl")
    assert done.returncode == 2
    assert "not found on the PATH: regctl; install one of" in done.stderr
    assert os.environ["PATH"] != skopeo_world.environment["PATH"]
