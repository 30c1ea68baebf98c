from __future__ import annotations

import pytest

from webhook.cli.engines import AUTO, ENGINES, MissingEngineError, find_engine

IMAGE = "harbor.example.com/hub/library/nginx:1"
NAME = "docker.io/library/nginx:1"


def only(*programs):
    """A machine with these programs and no others."""
    return lambda program: f"/bin/{program}" if program in programs else None


def commands(engine):
    return [
        " ".join(command)
        for command in (
            engine.find(IMAGE),
            engine.pull(IMAGE),
            engine.tag(IMAGE, NAME),
            engine.remove(IMAGE),
        )
    ]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (
            "docker",
            [
                f"docker image inspect --format={{{{.Id}}}} {IMAGE}",
                f"docker pull {IMAGE}",
                f"docker tag {IMAGE} {NAME}",
                f"docker rmi {IMAGE}",
            ],
        ),
        (
            "nerdctl",
            [
                "nerdctl images --format={{.Name}}",
                f"nerdctl pull {IMAGE}",
                f"nerdctl tag {IMAGE} {NAME}",
                f"nerdctl rmi {IMAGE}",
            ],
        ),
        (
            "podman",
            [
                "podman images --format={{range .Names}}{{println .}}{{end}}",
                f"podman pull {IMAGE}",
                f"podman tag {IMAGE} {NAME}",
                f"podman rmi {IMAGE}",
            ],
        ),
        (
            "crictl",
            [
                "ctr --namespace=k8s.io images ls --quiet",
                f"crictl pull {IMAGE}",
                f"ctr --namespace=k8s.io images tag --force {IMAGE} {NAME}",
                f"ctr --namespace=k8s.io images rm {IMAGE}",
            ],
        ),
    ],
)
def test_engine_commands_are_those_of_its_program(engine, expected):
    assert commands(ENGINES[engine]) == expected


def test_nerdctl_namespace_is_in_every_command():
    engine = ENGINES["nerdctl"].in_namespace("k8s.io")

    assert all(command.startswith("nerdctl --namespace=k8s.io ") for command in commands(engine))
    assert [each.replace("--namespace=k8s.io ", "") for each in commands(engine)] == (
        commands(ENGINES["nerdctl"])
    )


def test_engine_platform_option_precedes_the_image():
    command = ENGINES["podman"].pull(IMAGE, "linux/arm64")

    assert command == ("podman", "pull", "--platform=linux/arm64", IMAGE)


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        (["docker", "podman", "nerdctl", "crictl", "ctr"], "docker"),
        (["podman", "nerdctl"], "nerdctl"),
        (["crictl", "ctr", "podman"], "podman"),
        (["crictl", "ctr"], "crictl"),
    ],
)
def test_find_engine_auto_returns_the_first_installed_engine(programs, found):
    assert find_engine(AUTO, only(*programs)).name == found


@pytest.mark.parametrize("programs", [[], ["crictl"], ["ctr"]])
def test_find_engine_auto_says_what_to_install(programs):
    with pytest.raises(MissingEngineError, match="install docker, podman or nerdctl"):
        find_engine(AUTO, only(*programs))


@pytest.mark.parametrize(
    ("engine", "programs", "problem"),
    [
        ("docker", ["podman"], "docker is not on the PATH: install Docker Engine"),
        ("nerdctl", [], "nerdctl is not on the PATH: install nerdctl"),
        ("podman", [], "podman is not on the PATH: install podman"),
        ("crictl", ["crictl"], "ctr is not on the PATH: install crictl"),
        ("crictl", [], "crictl and ctr are not on the PATH: .* --engine podman"),
    ],
)
def test_find_engine_says_what_to_install_for_a_missing_engine(engine, programs, problem):
    with pytest.raises(MissingEngineError, match=problem):
        find_engine(engine, only(*programs))
