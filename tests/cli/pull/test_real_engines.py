"""`mirrorhook pull` with real engines and a real registry."""

from __future__ import annotations

import os
import subprocess

import pytest
from click.testing import CliRunner

from tests.cli.pull.real_engines import STARTS, CannotStartError, missing, names_of
from tests.tools import registry as registries
from tests.tools.registry import push_image, push_index, registry
from webhook.cli.pull import pull
from webhook.core import parse_reference

ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(bool(reason), reason=reason))
    for name in STARTS
    for reason in [missing(name)]
]
pytestmark = pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


class RealEngine:
    def __init__(self, name, environment, address):
        self.name, self.environment, self.address = name, environment, address

    def pull(self, *arguments, stdin=None):
        command = ["--engine", self.name, *arguments]
        return CliRunner().invoke(pull, command, input=stdin, env=self.environment)

    def names(self, repository):
        """Return its names of a repository, with tag or digest, in normal form."""
        found = map(parse_reference, self.all_names())
        return {str(each) for each in found if each.repository.endswith(repository)}

    def all_names(self):
        names = names_of(self.name, self.environment)
        # containerd has an image by the digest of its configuration, too.
        return {name for name in names if not name.startswith("sha256:")}

    def told(self, *command):
        return subprocess.check_output(
            command, env=os.environ | self.environment, text=True
        ).strip()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, mirror, tmp_path_factory):
    # The path of a socket has no more than 108 bytes (unix(7)).
    folder = tmp_path_factory.mktemp(request.param[:1])
    rules = folder / "rules.yaml"
    rules.write_text(
        f"""
rules:
- match: docker.io
  mirrors: [{mirror}/none, {mirror}]
  original: never
- match: quay.io
  mirrors: [{mirror}/quay]
  original: never
""",
        encoding="utf-8",
    )
    try:
        with STARTS[request.param](folder, mirror) as environment:
            environment["MIRRORHOOK_CONFIG"] = str(rules)
            yield RealEngine(request.param, environment, mirror)
    except CannotStartError as error:
        pytest.skip(f"it does not run here: {error}")


def test_real_engine_restores_the_name_and_leaves_no_mirror_name(engine, mirror):
    digest = push_image(mirror, "quay/team/app:1", content="one")

    done = engine.pull("quay.io/team/app:1")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"pulled  quay.io/team/app:1 from {mirror}/quay/team/app:1\n"
    restored = {f"quay.io/team/app@{digest}"} if engine.name == "crictl" else set()
    assert engine.names("team/app") == {"quay.io/team/app:1"} | restored


def test_real_engine_tries_the_second_mirror(engine, mirror):
    push_image(mirror, "library/second", content="two")

    done = engine.pull("second")

    assert done.exit_code == 0
    assert done.stdout == f"pulled  second from {mirror}/library/second:latest\n"
    assert f"Note: second: {mirror}/none/library/second:latest failed: " in done.stderr
    assert "docker.io/library/second:latest" in engine.names("library/second")
    assert not [name for name in engine.all_names() if name.startswith(f"{mirror}/library")]


def test_real_engine_continues_after_a_missing_image(engine, mirror):
    push_image(mirror, "library/there:1", content="three")

    done = engine.pull("-", stdin="quay.io/not/there:1\r\n# and\r\nthere:1\r\n")

    assert done.exit_code == 1
    failed, pulled = done.stdout.splitlines()
    assert failed.startswith("failed  quay.io/not/there:1: ")
    assert pulled == f"pulled  there:1 from {mirror}/library/there:1"
    heading, image, reason = done.stderr.splitlines()[-3:]
    assert heading == f"Error: {engine.name} could not pull 1 of 2 images:"
    assert image == "  quay.io/not/there:1"
    assert reason.startswith(f"    {mirror}/quay/not/there:1: ")
    assert "not found" in reason or "manifest unknown" in reason
    assert "docker.io/library/there:1" in engine.names("library/there")


def test_real_engine_restores_the_tag_of_a_digest(engine, mirror):
    digest = push_image(mirror, "quay/pinned:1", content="four")
    push_image(mirror, "quay/pinned:1", content="moved")

    done = engine.pull(f"quay.io/pinned:1@{digest}")

    assert (done.exit_code, done.stderr) == (0, "")
    assert "quay.io/pinned:1" in engine.names("pinned")
    assert not [name for name in engine.names("pinned") if name.startswith(mirror)]
    if engine.name == "podman":
        format_ = ("--format", "{{.Digest}}")
        told = engine.told("podman", "image", "inspect", *format_, "quay.io/pinned:1")
        assert told == digest


def test_real_engine_keeps_or_restores_a_digest_alone(engine, mirror):
    digest = push_image(mirror, "quay/only:1", content="five")

    done = engine.pull(f"quay.io/only@{digest}")

    assert done.exit_code == 0
    if engine.name == "crictl":
        assert (engine.names("only"), done.stderr) == ({f"quay.io/only@{digest}"}, "")
    else:
        assert engine.names("only") == {f"{mirror}/quay/only@{digest}"}
        assert f"it keeps the name {mirror}/quay/only@{digest}" in done.stderr


def test_real_engine_keeps_a_name_that_existed_before(engine, mirror):
    push_image(mirror, "quay/own:1", content="six")

    own = engine.pull(f"{mirror}/quay/own:1")
    done = engine.pull("quay.io/own:1")

    assert (own.exit_code, done.exit_code) == (0, 0)
    assert {f"{mirror}/quay/own:1", "quay.io/own:1"} <= engine.names("own")
    assert f"the name {mirror}/quay/own:1 existed before, so it is kept" in done.stderr


def test_real_engine_pulls_an_image_without_a_rule_by_its_name(engine, mirror):
    push_image(mirror, "plain", content="seven")

    done = engine.pull(f"{mirror}/plain")

    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{mirror}/plain:latest" in engine.names("plain")


def test_real_engine_updates_an_image_whose_tag_has_moved(engine, mirror):
    push_image(mirror, "quay/moving:1", content="old")
    before = engine.pull("quay.io/moving:1")
    digest = push_image(mirror, "quay/moving:1", content="new")

    done = engine.pull("quay.io/moving:1")

    assert (before.exit_code, done.exit_code, done.stderr) == (0, 0, "")
    assert f"{mirror}/quay/moving:1" not in engine.names("moving")
    if engine.name == "crictl":
        assert f"quay.io/moving@{digest}" in engine.names("moving")


def test_real_engine_pulls_another_platform(engine, mirror):
    push_index(mirror, "quay/many:1", ("amd64", "arm64"))

    for architecture in ("arm64", "amd64"):
        done = engine.pull("quay.io/many:1", "--platform", f"linux/{architecture}")

        if engine.name == "crictl":
            assert done.exit_code == 2
            continue
        assert done.exit_code == 0
        inspect = (engine.name, "image", "inspect", "--format", "{{.Architecture}}")
        assert engine.told(*inspect, "quay.io/many:1") == architecture
