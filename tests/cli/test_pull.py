from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.cli.pull.machine import DIGEST, HUB, NGINX, SPARE, Machine
from webhook.cli.engines import ENGINES
from webhook.cli.puller import Puller, plan_pull
from webhook.core import MirrorMap


def test_pull_restores_the_original_name(machine):
    machine.know(f"{HUB}/library/nginx:1")

    result = machine.run("nginx:1")

    assert result.stdout == f"pulled  nginx:1 from {HUB}/library/nginx:1\n"
    assert (result.exit_code, result.stderr) == (0, "")
    assert machine.images == {NGINX: DIGEST}


@pytest.mark.parametrize("engine", ["docker", "nerdctl", "podman", "crictl"])
def test_pull_works_with_every_engine(tmp_path, engine):
    machine = Machine(tmp_path)
    machine.install(engine, *(["ctr"] if engine == "crictl" else []))
    machine.know(f"{HUB}/library/nginx:1")

    result = machine.run("nginx:1", "--engine", engine)

    assert result.exit_code == 0
    assert machine.images[NGINX] == DIGEST
    assert not [name for name in machine.images if name.startswith(HUB)]


def test_pull_notes_a_mirror_that_failed_before_another_succeeded(machine):
    machine.know(f"{SPARE}/library/nginx:1")

    result = machine.run("nginx:1")

    assert (result.exit_code, machine.images) == (0, {NGINX: DIGEST})
    assert result.stdout == f"pulled  nginx:1 from {SPARE}/library/nginx:1\n"
    assert result.stderr == (
        f"Note: nginx:1: {HUB}/library/nginx:1 failed: {HUB}/library/nginx:1: manifest unknown\n"
    )


def test_pull_continues_after_a_failed_image(machine):
    machine.know(f"{HUB}/library/nginx:1", "quay.io/a/b:2")

    result = machine.run("ghcr.io/a/b:1", "NGINX", "nginx:1", "quay.io/a/b:2")

    missing = "harbor.example.com/ghcr/a/b:1"
    assert result.exit_code == 1
    assert result.stdout == (
        f"failed  ghcr.io/a/b:1: {missing}: manifest unknown\n"
        "failed  NGINX: the repository 'NGINX' must be in lower case\n"
        f"pulled  nginx:1 from {HUB}/library/nginx:1\n"
        "pulled  quay.io/a/b:2 from quay.io/a/b:2\n"
    )
    assert result.stderr == (
        "Pulling 1 of 4: ghcr.io/a/b:1\n"
        "Pulling 2 of 4: NGINX\n"
        "Pulling 3 of 4: nginx:1\n"
        "Pulling 4 of 4: quay.io/a/b:2\n"
        "Error: docker could not pull 2 of 4 images:\n"
        "  ghcr.io/a/b:1\n"
        f"    {missing}: {missing}: manifest unknown\n"
        "  NGINX\n"
        "    the repository 'NGINX' must be in lower case\n"
    )
    assert machine.images.keys() == {NGINX, "quay.io/a/b:2"}


def test_pull_reads_a_list_from_standard_input_without_duplicates(machine):
    machine.know(f"{HUB}/library/nginx:1", "registry.k8s.io/pause:3.10", "quay.io/a:1")

    result = machine.run(
        "quay.io/a:1",
        "-",
        stdin="# from kubeadm\r\n\r\nregistry.k8s.io/pause:3.10\r\n  nginx:1\nquay.io/a:1",
    )

    assert result.exit_code == 0
    assert result.stdout == (
        "pulled  quay.io/a:1 from quay.io/a:1\n"
        "pulled  registry.k8s.io/pause:3.10 from registry.k8s.io/pause:3.10\n"
        f"pulled  nginx:1 from {HUB}/library/nginx:1\n"
    )
    assert len([call for call in machine.calls if " pull " in call]) == 3


def test_pull_refuses_an_empty_list(machine):
    result = machine.run("-", stdin="# nothing\n")

    assert result.exit_code == 2
    assert "no image names on standard input" in result.stderr


def test_pull_notes_a_digest_without_a_tag(machine):
    machine.know(f"{HUB}/library/nginx@{DIGEST}")

    result = machine.run(f"nginx@{DIGEST}")

    assert result.exit_code == 0
    assert "there is no tag to restore" in result.stderr


def test_pull_json_has_the_documented_keys(machine):
    machine.know(f"{SPARE}/library/nginx:1")

    result = machine.run("nginx:1", "NGINX", "-o", "json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "image": "nginx:1",
            "status": "pulled",
            "source": f"{SPARE}/library/nginx:1",
            "names": [NGINX],
            "reason": f"rule docker.io → {HUB}",
            "failures": [
                {
                    "source": f"{HUB}/library/nginx:1",
                    "error": f"{HUB}/library/nginx:1: manifest unknown",
                }
            ],
            "notes": [],
        },
        {
            "image": "NGINX",
            "status": "failed",
            "source": None,
            "names": [],
            "reason": "the repository 'NGINX' must be in lower case",
            "failures": [{"source": None, "error": "the repository 'NGINX' must be in lower case"}],
            "notes": [],
        },
    ]


def test_pull_json_escapes_bytes_that_are_not_utf_8(machine):
    (told,) = json.loads(machine.run("a\udcff", "-o", "json").stdout)

    assert (told["image"], told["status"]) == ("a\\udcff", "failed")


def test_pull_dry_run_writes_a_script_and_runs_nothing(machine):
    result = machine.run("nginx:1", "quay.io/a", "NGINX", "--dry-run", "--platform=linux/arm")

    mirror = f"{HUB}/library/nginx:1"
    assert result.stdout == (
        f"# nginx:1: rule docker.io → {HUB}\n"
        f"docker pull --platform=linux/arm {mirror}\n"
        f"docker tag {mirror} {NGINX}\n"
        f"docker rmi {mirror}\n"
        f"# or from {SPARE}/library/nginx:1\n"
        f"# or from {NGINX}\n"
        "# quay.io/a: no rule matches quay.io/a\n"
        "docker pull --platform=linux/arm quay.io/a:latest\n"
        "# NGINX cannot be pulled: the repository 'NGINX' must be in lower case\n"
    )
    assert result.stderr == "Error: NGINX: the repository 'NGINX' must be in lower case\n"
    assert result.exit_code == 1
    assert "calls" not in machine.told()


def test_pull_dry_run_script_has_the_effect_of_the_command(machine):
    machine.know(f"{HUB}/library/nginx:1", "quay.io/a:latest")
    script = machine.run("nginx:1", "quay.io/a", "--dry-run")

    subprocess.run(["/bin/sh", "-e", "-c", script.stdout], env=machine.environment, check=True)

    assert script.exit_code == 0
    assert machine.images == {NGINX: DIGEST, "quay.io/a:latest": DIGEST}


def test_pull_dry_run_keeps_mirror_tags_if_asked(machine):
    kept = machine.run("nginx:1", "--dry-run", "--keep-mirror-tag")
    digest = machine.run(f"nginx@{DIGEST}", "--dry-run")

    assert "docker tag" in kept.stdout
    assert "rmi" not in kept.stdout + digest.stdout
    assert "tag" not in digest.stdout


def test_pull_keeps_mirror_tags_if_asked(machine):
    machine.know(f"{HUB}/library/nginx:1")

    assert machine.run("nginx:1", "--keep-mirror-tag").exit_code == 0
    assert machine.images.keys() == {NGINX, f"{HUB}/library/nginx:1"}


def test_pull_uses_the_policy_option(machine):
    machine.know("other.example.com/library/nginx:1")

    assert machine.run("nginx:1", "--policy", "other").exit_code == 0


def test_pull_accepts_a_namespace_for_nerdctl_only(machine):
    machine.install("nerdctl")

    result = machine.run("quay.io/a", "-e", "nerdctl", "--namespace", "k8s.io", "--dry-run")
    refused = machine.run("quay.io/a", "--namespace", "k8s.io")

    assert "nerdctl --namespace=k8s.io pull quay.io/a:latest" in result.stdout
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--namespace works with nerdctl only, and the engine is docker" in refused.stderr


def test_pull_refuses_a_platform_for_crictl(machine):
    machine.install("crictl", "ctr")

    result = machine.run("nginx", "-e", "crictl", "--platform", "linux/arm64")

    assert result.exit_code == 2
    assert "crictl cannot pull for another platform" in result.stderr


def test_pull_refuses_what_is_not_a_platform(machine):
    result = machine.run("nginx", "--platform", "arm64")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "'arm64' is not a platform; write os/architecture" in result.stderr


def test_pull_says_what_to_install_for_a_missing_engine(tmp_path):
    machine = Machine(tmp_path)

    nothing = machine.run("nginx")
    podman = machine.run("nginx", "--engine", "podman")

    assert (nothing.exit_code, podman.exit_code) == (2, 2)
    assert nothing.stderr.startswith("Error: no container engine on the PATH: ")
    assert podman.stderr.startswith("Error: podman is not on the PATH: install podman")


def test_pull_reports_an_engine_that_cannot_run_for_each_image(machine):
    machine.install("docker", script="exit 5")

    result = machine.run("nginx:1", "quay.io/a")

    assert result.exit_code == 1
    assert "Error: docker could not pull 2 of 2 images:" in result.stderr
    assert "    quay.io/a:latest: ended with exit code 5\n" in result.stderr


def test_pull_escapes_control_characters(machine):
    machine.install("docker", script=r"printf 'no \033[31m entry\n'; exit 1")

    result = machine.run("ghcr.io/a\x1b", "ghcr.io/a")

    assert "\x1b" not in result.output
    assert "no \\x1b[31m entry" in result.stdout


@pytest.mark.parametrize(
    ("engine", "first"),
    [("crictl", "crictl pull "), ("podman", "podman pull "), ("auto", "docker")],
)
def test_pull_dry_run_needs_no_engine(tmp_path, engine, first):
    machine = Machine(tmp_path)

    result = machine.run("nginx:1", "--dry-run", "--engine", engine)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].startswith(first)


# Pulls only if as many programs run at the same time; each says so in a file.
TOGETHER = """
case "$1" in image) exit 1;; pull) ;; *) exit 0;; esac
touch {folder}/$$
for i in $(seq 200); do
    [ $(ls {folder} | wc -l) -ge {count} ] && exit 0
    sleep 0.05
done
exit 1
"""


def together(machine, count):
    """Install an engine whose pulls succeed only if *count* of them run at the same time."""
    folder = machine.bin.parent / "running"
    folder.mkdir()
    script = TOGETHER.replace("{folder}", str(folder)).replace("{count}", str(count))
    machine.install("docker", script=script)
    machine.environment["PATH"] += os.pathsep + os.environ["PATH"]


def test_pull_pulls_four_images_at_the_same_time(machine):
    together(machine, 4)

    result = machine.run(*(f"quay.io/a/b{n}" for n in range(4)))

    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        f"quay.io/a/b{n}" for n in range(4)
    ]


def test_pull_pulls_no_more_images_at_a_time_than_asked(machine):
    busy = machine.bin.parent / "busy"
    script = f"""
case "$1" in image) exit 1;; pull) ;; *) exit 0;; esac
mkdir {busy} || exit 1
sleep 0.05
rmdir {busy}
"""
    machine.install("docker", script=script)
    machine.environment["PATH"] += os.pathsep + os.environ["PATH"]

    result = machine.run("--parallel", "1", *(f"quay.io/a/b{n}" for n in range(4)))

    assert result.exit_code == 0
    assert machine.run("--parallel", "17", "nginx").exit_code == 2


@pytest.mark.parametrize(("engine", "count"), [("crictl", 1), ("docker", 2)])
def test_pull_does_not_mix_up_new_names_of_one_repository(engine, count):
    puller = Puller(ENGINES[engine], print)
    jobs = [plan_pull(MirrorMap([]).decide(f"quay.io/a:{n}")) for n in (1, 2)]
    used = [puller.names_used(job) for job in jobs]

    assert len(set(used)) == count


def test_pull_reports_progress_where_there_is_no_terminal(machine, monkeypatch):
    monkeypatch.setattr("webhook.cli.pull.PERIOD", 0.1)
    machine.install("docker", script='case "$1" in pull) echo "3 of 9"; sleep 0.5;; esac; exit 0')
    machine.environment["PATH"] += os.pathsep + os.environ["PATH"]

    result = machine.run("quay.io/a:1", "quay.io/b:1")

    assert result.exit_code == 0
    assert result.stderr.startswith("Pulling 1 of 2: quay.io/a:1\nPulling 2 of 2: quay.io/b:1\n")
    assert "Still pulling quay.io/a:1 after 0:00: 3 of 9\n" in result.stderr
    assert "Still pulling" not in result.stdout
