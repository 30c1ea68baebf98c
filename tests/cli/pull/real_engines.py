"""Real engines, each with an empty storage: podman, Docker and containerd.

Each is a context manager that takes a folder and the address of a registry on plain
HTTP, and gives the environment in which the engine's programs use that storage. What an
engine needs and this machine cannot give is a `CannotStartError`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

START = 20.0
NAMES = {
    "podman": ("podman", "images", "--format={{range .Names}}{{println .}}{{end}}"),
    "docker": (
        "docker",
        "images",
        "--digests",
        "--format={{.Repository}}:{{.Tag}}\\n{{.Repository}}@{{.Digest}}",
    ),
    "crictl": ("ctr", "--namespace=k8s.io", "images", "ls", "--quiet"),
}
PROGRAMS = {
    "podman": ("podman",),
    "docker": ("docker", "dockerd"),
    "crictl": ("crictl", "ctr", "containerd"),
}


class CannotStartError(Exception):
    """An engine does not work on this machine; the message says why."""


def missing(engine):
    """Return why an engine cannot be tested here, or an empty text."""
    programs = [name for name in PROGRAMS[engine] if shutil.which(name) is None]
    if programs:
        return f"not installed: {', '.join(programs)}"
    return "" if os.geteuid() == 0 else "only root can run an engine of its own"


@contextmanager
def podman(folder, address):
    home = folder / "home" / ".config" / "containers"
    home.mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (home / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    files = {
        "CONTAINERS_STORAGE_CONF": (
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        ),
        "CONTAINERS_REGISTRIES_CONF": (f'[[registry]]\nlocation = "{address}"\ninsecure = true\n'),
        "CONTAINERS_CONF": ('[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n'),
    }
    environment = {"HOME": str(folder / "home")}
    for name, content in files.items():
        path = folder / f"{name.lower()}.toml"
        path.write_text(content, encoding="utf-8")
        environment[name] = str(path)
    until_answered(("podman", "info"), environment)
    yield environment


@contextmanager
def docker(folder, address):
    socket = f"unix://{folder}/docker.sock"
    command = (
        "dockerd",
        f"--data-root={folder}/images",
        f"--exec-root={folder}/run",
        f"--pidfile={folder}/dockerd.pid",
        f"--host={socket}",
        f"--insecure-registry={address}",
        "--bridge=none",
        "--iptables=false",
        "--storage-driver=vfs",
    )
    environment = {"DOCKER_HOST": socket, "DOCKER_CONFIG": str(folder)}
    with daemon(command, folder / "dockerd.log") as process:
        until_answered(("docker", "version"), environment, process)
        yield environment


@contextmanager
def crictl(folder, address):
    hosts = folder / "hosts" / address / "hosts.toml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(f'server = "http://{address}"\n', encoding="utf-8")
    configuration = folder / "containerd.toml"
    configuration.write_text(
        f"""\
version = 2
root = "{folder}/images"
state = "{folder}/run"
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/hosts"
""",
        encoding="utf-8",
    )
    environment = {
        "CONTAINERD_ADDRESS": f"{folder}/containerd.sock",
        "CONTAINER_RUNTIME_ENDPOINT": f"unix://{folder}/containerd.sock",
    }
    command = ("containerd", f"--config={configuration}")
    with daemon(command, folder / "containerd.log") as process:
        until_answered(("crictl", "images"), environment, process)
        yield environment


STARTS = {"podman": podman, "docker": docker, "crictl": crictl}


@contextmanager
def daemon(command, log):
    with (
        log.open("wb") as written,
        subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(START)


def until_answered(command, environment, process=None):
    """Wait until a command succeeds; without a daemon's *process* it is run once."""
    deadline = time.monotonic() + START
    while True:
        done = subprocess.run(
            command,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        ended = process is None or process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise CannotStartError(f"{' '.join(command)}: {done.stderr.strip()}")
        time.sleep(0.1)


def names_of(engine, environment):
    """Return the names of all images of an engine, as the engine lists them."""
    done = subprocess.run(
        NAMES[engine],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line for line in done.stdout.split() if "<none>" not in line}
