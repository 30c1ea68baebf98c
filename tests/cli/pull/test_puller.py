from __future__ import annotations

import pytest

from tests.cli.pull.fake_engine import FakeEngine
from webhook.cli.engines import ENGINES, ProgramResult
from webhook.cli.puller import Puller, PullFailure, plan_pull
from webhook.core import MirrorMap, Original, Rule

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64
FIRST, SECOND = "a.example.com/hub/library/nginx", "b.example.com/library/nginx"
NGINX = "docker.io/library/nginx"
MIRRORS = MirrorMap([Rule("docker.io", ["a.example.com/hub", "b.example.com"])])
DOCKER_LIKE = ["docker", "nerdctl", "podman"]


def pull(fake, image="nginx:1", engine="docker", *, mirrors=MIRRORS, **options):
    def run(command, heard):
        code, lines = fake.answer(command)
        for line in lines:
            heard(line)
        return ProgramResult(code, tuple(lines))

    puller = Puller(ENGINES[engine], run, **options)
    return puller.pull(plan_pull(mirrors.decide(image)), lambda _source, _line: None)


@pytest.mark.parametrize("engine", DOCKER_LIKE)
def test_puller_restores_the_original_name(engine):
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST}, images={"quay.io/x:1": OTHER})

    result = pull(fake, engine=engine)

    assert fake.images == {"quay.io/x:1": OTHER, f"{NGINX}:1": DIGEST}
    assert (result.is_pulled, result.source) == (True, f"{FIRST}:1")
    assert result.names == (f"{NGINX}:1",)
    assert (result.failures, result.notes) == ((), ())


def test_puller_runs_these_commands_in_this_order():
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST})

    pull(fake)

    assert fake.calls == [
        f"docker image inspect --format={{{{.Id}}}} {FIRST}:1",
        f"docker pull {FIRST}:1",
        f"docker tag {FIRST}:1 {NGINX}:1",
        f"docker rmi {FIRST}:1",
    ]


def test_puller_moves_the_name_from_an_older_image():
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST}, images={f"{NGINX}:1": OTHER})

    pull(fake)

    assert fake.images == {f"{NGINX}:1": DIGEST}


def test_puller_removes_the_digest_at_the_mirror_from_containerd():
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST}, images={f"{FIRST}:0": OTHER})

    result = pull(fake, engine="crictl")

    assert fake.images == {
        f"{FIRST}:0": OTHER,
        f"{NGINX}:1": DIGEST,
        f"{NGINX}@{DIGEST}": DIGEST,
    }
    assert (result.names, result.notes) == ((f"{NGINX}:1", f"{NGINX}@{DIGEST}"), ())


def test_puller_tries_the_next_mirror():
    fake = FakeEngine(available={f"{SECOND}:1": DIGEST})

    result = pull(fake)

    assert (result.source, fake.images) == (f"{SECOND}:1", {f"{NGINX}:1": DIGEST})
    assert result.failures == (PullFailure(f"{FIRST}:1", f"{FIRST}:1: manifest unknown"),)


def test_puller_tries_the_own_registry_last():
    fake = FakeEngine(available={f"{NGINX}:1": DIGEST})

    result = pull(fake)

    assert (result.source, result.names) == (f"{NGINX}:1", (f"{NGINX}:1",))
    assert [str(failure) for failure in result.failures] == [
        f"{FIRST}:1: {FIRST}:1: manifest unknown",
        f"{SECOND}:1: {SECOND}:1: manifest unknown",
    ]
    assert fake.calls[-1] == f"docker pull {NGINX}:1"


def test_puller_tags_nothing_if_no_source_has_the_image():
    fake = FakeEngine()

    result = pull(fake)

    assert not result.is_pulled
    assert [failure.source for failure in result.failures] == [
        f"{FIRST}:1",
        f"{SECOND}:1",
        f"{NGINX}:1",
    ]
    assert not [call for call in fake.calls if " tag " in call or " rmi " in call]


def test_puller_does_not_run_for_an_invalid_image():
    fake = FakeEngine()

    result = pull(fake, "NGINX")

    assert (result.is_pulled, fake.calls) == (False, [])
    assert "must be in lower case" in str(result.failures[0])


def test_puller_gives_the_reason_if_there_is_no_source():
    forbidden = Rule(regex=r"icr\.io/(.*)", mirrors=[r"\1/x"], original=Original.NEVER)

    result = pull(FakeEngine(), "icr.io/a", mirrors=MirrorMap([forbidden]))

    assert not result.is_pulled
    assert "a/x" in result.failures[0].error


@pytest.mark.parametrize("image", ["quay.io/a/b:1", f"quay.io/a/b@{DIGEST}"])
def test_puller_pulls_an_image_without_a_rule_by_its_name(image):
    fake = FakeEngine(available={image: DIGEST})

    result = pull(fake, image)

    assert (result.source, result.names) == (image, (image,))
    assert fake.calls == [f"docker pull {image}"]


@pytest.mark.parametrize("engine", DOCKER_LIKE)
def test_puller_pulls_by_digest_and_restores_the_tag(engine):
    fake = FakeEngine(available={f"{FIRST}@{DIGEST}": DIGEST})

    result = pull(fake, f"nginx:1@{DIGEST}", engine)

    assert fake.images == {f"{NGINX}:1": DIGEST}
    assert (result.source, result.notes) == (f"{FIRST}@{DIGEST}", ())


def test_puller_restores_tag_and_digest_in_containerd():
    fake = FakeEngine(available={f"{FIRST}@{DIGEST}": DIGEST})

    pull(fake, f"nginx:1@{DIGEST}", "crictl")

    assert fake.images == {f"{NGINX}:1": DIGEST, f"{NGINX}@{DIGEST}": DIGEST}


@pytest.mark.parametrize("engine", DOCKER_LIKE)
def test_puller_keeps_the_name_of_a_digest_alone_with_a_note(engine):
    fake = FakeEngine(available={f"{FIRST}@{DIGEST}": DIGEST})

    result = pull(fake, f"nginx@{DIGEST}", engine)

    assert fake.images == {f"{FIRST}@{DIGEST}": DIGEST}
    assert (result.is_pulled, result.names) == (True, ())
    assert len(result.notes) == 1
    assert result.notes[0].startswith(f"there is no tag to restore, and {engine} cannot name")
    assert result.notes[0].endswith(f"it keeps the name {FIRST}@{DIGEST}")


def test_puller_restores_a_digest_alone_in_containerd():
    fake = FakeEngine(available={f"{FIRST}@{DIGEST}": DIGEST})

    result = pull(fake, f"nginx@{DIGEST}", "crictl")

    assert (fake.images, result.notes) == ({f"{NGINX}@{DIGEST}": DIGEST}, ())


@pytest.mark.parametrize("engine", ENGINES)
def test_puller_keeps_a_name_that_existed_before(engine):
    fake = FakeEngine(
        available={f"{FIRST}:1": DIGEST}, images={f"{FIRST}:1": OTHER, "x.io/a:1": OTHER}
    )

    result = pull(fake, engine=engine)

    assert fake.images[f"{FIRST}:1"] == fake.images[f"{NGINX}:1"] == DIGEST
    assert result.notes == (f"the name {FIRST}:1 existed before, so it is kept",)
    assert f"{FIRST}@{DIGEST}" not in fake.images


@pytest.mark.parametrize("engine", ENGINES)
def test_puller_keeps_mirror_names_if_asked(engine):
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST})

    result = pull(fake, engine=engine, keeps_mirror_names=True)

    assert {f"{FIRST}:1", f"{NGINX}:1"} <= fake.images.keys()
    assert (result.is_pulled, result.notes) == (True, ())


@pytest.mark.parametrize("engine", ["nerdctl", "podman", "crictl"])
def test_puller_removes_nothing_if_images_cannot_be_listed(engine):
    fake = FakeEngine(
        available={f"{FIRST}:1": DIGEST}, refused={"images": "timeout", "ls": "timeout"}
    )

    result = pull(fake, engine=engine)

    assert {f"{FIRST}:1", f"{NGINX}:1"} <= fake.images.keys()
    assert result.notes == (f"{engine} could not list its images, so the name {FIRST}:1 is kept",)


def test_puller_removes_nothing_if_containerd_fails_after_the_pull():
    class Silent(FakeEngine):
        def pull(self, program, name):
            self.refused = {"ls": "timeout"}
            return super().pull(program, name)

    fake = Silent(available={f"{FIRST}:1": DIGEST})

    result = pull(fake, engine="crictl")

    assert f"{FIRST}:1" in fake.images
    assert result.notes == (f"crictl could not list its images, so the name {FIRST}:1 is kept",)


def test_puller_fails_and_removes_nothing_if_tagging_fails():
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST}, refused={"tag": "disk full"})

    result = pull(fake)

    assert (result.is_pulled, fake.images) == (False, {f"{FIRST}:1": DIGEST})
    assert str(result.failures[-1]) == (
        f"{FIRST}:1: pulled, but could not be tagged as {NGINX}:1: disk full"
    )


def test_puller_notes_a_name_that_cannot_be_removed():
    fake = FakeEngine(available={f"{FIRST}:1": DIGEST}, refused={"rmi": "in use"})

    result = pull(fake)

    assert (result.is_pulled, result.names) == (True, (f"{NGINX}:1",))
    assert result.notes == (f"{FIRST}:1 could not be removed: in use",)


def test_puller_uses_the_platform_for_every_source():
    fake = FakeEngine(available={f"{SECOND}:1": DIGEST})

    pull(fake, platform="linux/arm64")

    assert [call for call in fake.calls if " pull " in call] == [
        f"docker pull --platform=linux/arm64 {FIRST}:1",
        f"docker pull --platform=linux/arm64 {SECOND}:1",
    ]


def test_puller_reports_progress():
    fake, heard = FakeEngine(available={f"{SECOND}:1": DIGEST}), []

    def run(command, hear):
        code, lines = fake.answer(command)
        hear(lines[-1])
        return ProgramResult(code, tuple(lines))

    order = plan_pull(MIRRORS.decide("nginx:1"))
    Puller(ENGINES["docker"], run).pull(order, lambda *words: heard.append(words))

    assert heard == [
        (f"{FIRST}:1", ""),
        (f"{FIRST}:1", f"{FIRST}:1: manifest unknown"),
        (f"{SECOND}:1", ""),
        (f"{SECOND}:1", f"{SECOND}:1: pulling"),
    ]
