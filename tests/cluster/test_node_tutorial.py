"""The tutorial, command by command, on a real node: what it says that you see is what you see.

The commands that make a cluster and build the image are left out. The registry of the node
plays Docker Hub, which has the image as if it were loaded, and the mirror.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import contextmanager

import httpx
import pytest

from tests.cli.guides import DOCS
from tests.cluster.deployment import NAME, install, running, uninstall
from tests.cluster.node import REGISTRY
from tests.cluster.own_image import layout
from tests.cluster.processes import until
from tests.cluster.programs import program
from tests.cluster.release import ROOT
from tests.tools.helm import helm4
from tests.tools.registry import push_layout
from tests.tools.shell import run_command

PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")
STEPS = {
    int(number): re.findall(r"^\$ ((?:kubectl|helm) .*)\n((?:[^$`].*\n)*)", text, re.MULTILINE)
    for number, text in re.findall(r"^## (\d)\. (.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
HOSTS = ("docker.io", "mirror.gcr.io")


@pytest.fixture(scope="module")
def terminal(node, installed, tmp_path_factory):
    """Runs commands of the tutorial, without mirrorhook in the cluster."""
    push_layout(REGISTRY, "library/mirrorhook:tutorial", layout())
    node.push("library/nginx:1.27")
    for host in HOSTS:
        folder = node.folder / "certs.d" / host
        folder.mkdir()
        (folder / "hosts.toml").write_text(f'server = "http://{REGISTRY}"\n')
    uninstall(node)
    node.plane.kubectl("delete", "namespace", NAME, "--ignore-not-found")
    bin_folder = tmp_path_factory.mktemp("bin")
    (bin_folder / "kubectl").symlink_to(program("kubectl"))
    (bin_folder / "helm").symlink_to(helm4())
    environment = node.plane.environment
    environment = environment | {"PATH": f"{bin_folder}:{environment['PATH']}"}

    def run(command):
        return run_command(command, folder=ROOT, environment=environment)

    run.environment = environment
    yield run
    for host in HOSTS:
        shutil.rmtree(node.folder / "certs.d" / host)
    install(node)


def type_step(terminal, number):
    """Run the commands of a step, compare what is shown below each, and return the output."""
    outputs = []
    for command, shown in STEPS[number]:
        if "port-forward" in command:
            continue
        output = terminal(command)
        if shown:
            assert output == shown, command
        outputs.append(output)
    return "\n".join(outputs)


@contextmanager
def forward(terminal):
    """Forward the port as the tutorial does."""
    (command,) = (each for each, _ in STEPS[7] if "port-forward" in each)
    process = subprocess.Popen(
        command.split(), env=terminal.environment, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def get_console():
    try:
        return httpx.get("http://localhost:8080/", timeout=5)
    except httpx.TransportError:
        return None


def test_commands_of_the_tutorial_show_what_it_says(node_world, terminal):
    assert re.search(r"\bReady\b", type_step(terminal, 1))
    type_step(terminal, 3)
    assert "STATUS: deployed" in terminal(STEPS[4][0][0])
    assert len(re.findall(r" 1/1 +Running ", terminal(STEPS[4][1][0]))) == 2
    type_step(terminal, 5)
    type_step(terminal, 6)
    running(node_world, "shop", "after")
    described = terminal(STEPS[6][-1][0])
    assert 'Pulling image "mirror.gcr.io/library/nginx:1.27"' in described
    log = type_step(terminal, 7)
    (line,) = (line for line in log.splitlines() if '"pod":"after"' in line)
    assert '"event":"review"' in line
    assert '"outcome":"rewritten"' in line
    reason = "rule docker.io (profile mirror-gcr-io) → mirror.gcr.io"
    assert reason in line
    assert reason in PAGE.replace("\n", " ")
    with forward(terminal):
        page = until(get_console, "the console")
    assert page.status_code == 200
    assert "after" in page.text
    type_step(terminal, 8)
