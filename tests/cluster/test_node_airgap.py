"""The guide for air-gapped sites, command by command, on two sides that share only a directory.

Outside, one registry plays those of the Internet, and pip uses the real package index. Inside,
in the network of the node, nothing but an empty registry answers.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.cli.guides import DOCS, POD
from tests.cluster.deployment import NAME, install, running, uninstall
from tests.cluster.namespaces import outside
from tests.cluster.node import IDLE, busybox
from tests.cluster.own_image import layout
from tests.cluster.programs import KUBEADM, program
from tests.copying.programs import EngineMissingError, find_program
from tests.tools.golang import GoMissingError
from tests.tools.helm import helm4
from tests.tools.registry import push_files, push_layout, registry
from tests.tools.shell import run_command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (DOCS / "airgap.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
(RULES,) = re.findall(r"```yaml\n(.*?)```", PARTS["The rules"], re.DOTALL)
# What a clone has of what the guide needs.
CLONE = ("LICENSE", "README.md", "charts", "pyproject.toml", "requirements.txt", "webhook")
INTERNET, SITE = "127.77.0.1:443", "127.77.0.2:443"
NAMES = ("registry-1.docker.io", "registry.k8s.io", "ghcr.io", "harbor.example.com")
# Without a network, kubeadm uses its own version instead of looking up the newest.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ",".join((*NAMES, "10.0.0.0/8"))}
HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def commands(part):
    return re.findall(r"^\$ (.*)$", PARTS[part], re.MULTILINE)


class Side:
    """A machine: a directory, programs, a trusted CA, and the addresses of registries.

    Args:
        folder: Its working directory.
        authority: The CA of the registries.
        address: Where all the registries are.
        inside: Command prefix that runs a command in its namespaces.
    """

    def __init__(self, folder, authority, address, inside=()):
        self.folder, self.inside = folder, inside
        (folder / "bin").mkdir(parents=True)
        (folder / "hosts").write_text(
            Path("/etc/hosts").read_text()
            + "".join(f"{address.partition(':')[0]} {name}\n" for name in NAMES)
        )
        system = Path(ssl.get_default_verify_paths().cafile or os.devnull).read_bytes()
        (folder / "ca.pem").write_bytes(system + b"\n" + authority.cert_pem.bytes())

    def link(self, **programs):
        for name, path in programs.items():
            (self.folder / "bin" / name).symlink_to(path)

    def type(self, command, **environment):
        path = f"{self.folder}/bin:{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin"
        settings = {"PATH": path, "SSL_CERT_FILE": f"{self.folder}/ca.pem"}
        shell = ("unshare", "--mount", "sh", "-c", HOSTS, self.folder / "hosts")
        return run_command(
            command,
            folder=self.folder,
            environment=os.environ | {"HOME": str(self.folder)} | settings | environment,
            inside=(*self.inside, *shell),
        )


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def certificate(authority):
    return authority.issue_cert(*NAMES).private_key_and_cert_chain_pem.bytes()


@pytest.fixture(scope="module")
def tools(node):
    try:
        with outside():
            kubeadm, regctl = program("kubeadm", KUBEADM), find_program("regctl")
    except (EngineMissingError, GoMissingError) as error:
        pytest.skip(str(error))
    return {"kubeadm": kubeadm, "regctl": regctl, "helm": helm4(), "kubectl": program("kubectl")}


@pytest.fixture(scope="module")
def collected(tools, authority, tmp_path_factory):
    """The directory that the commands outside have filled, when nothing outside is left."""
    side = Side(tmp_path_factory.mktemp("outside"), authority, INTERNET)
    side.link(**tools)
    for name in CLONE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, side.folder / name)
    (side.folder / "rules.yaml").write_text(RULES)
    script = side.folder / "bin/mirrorhook"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m webhook "$@"\n')
    script.chmod(0o755)
    (side.folder / "usb").mkdir()
    blobs = side.folder / "blobs"
    pair = certificate(authority)
    with (
        outside(),  # where the package index is
        registry(side.folder, blobs=blobs) as beside,
        registry(side.folder, blobs=blobs, certificate=pair, listen=INTERNET),
    ):
        listed = side.type("kubeadm config images list", **OFFLINE).split()
        for image in (*listed, "docker.io/library/nginx:1.27"):
            files = busybox() | {"image": image.encode()}
            push_files(beside, image.partition("/")[2], files, command=IDLE)
        push_layout(beside, "mirrorhook/mirrorhook:0.1.0", layout())
        for command in commands("Outside: collect"):
            side.type(command, **(OFFLINE if "kubeadm" in command else {"NO_PROXY": "*"}))
    return side.folder / "usb"


@pytest.fixture(scope="module")
def inside(node, installed, tools, collected, authority):
    """A machine of the site, with an empty registry and the directory."""
    plane = node.plane
    side = Side(node.folder / "inside", authority, SITE, plane.processes.inside)
    side.link(**tools)
    shutil.copytree(collected, side.folder / "usb")
    pod = POD.replace("IMAGE", "nginx:1.27").replace("name: web}", "name: network}", 1)
    (side.folder / "network.yaml").write_text(pod)
    # The node finds and trusts the registry, as the administrator has configured it.
    subprocess.run(
        [*side.inside, "mount", "--bind", side.folder / "hosts", "/etc/hosts"], check=True
    )
    hosts = node.folder / "certs.d/harbor.example.com/hosts.toml"
    hosts.parent.mkdir()
    hosts.write_text(f'server = "https://harbor.example.com"\nca = "{side.folder}/ca.pem"\n')
    uninstall(node)
    with registry(side.folder, certificate=certificate(authority), listen=SITE):
        yield side
        plane.kubectl("delete", "namespace", "shop", "--ignore-not-found", "--wait=false")
        plane.kubectl("delete", "pod", "network", "--ignore-not-found", "--wait=false")
        plane.run(helm4(), "uninstall", NAME, "--namespace", NAME, "--wait", "--ignore-not-found")
    install(node)


def test_commands_of_the_guide_bring_everything_to_the_site(node, node_world, inside):
    settings = OFFLINE | {"PIP_FIND_LINKS": "", "PIP_NO_COMPILE": "1"}
    settings["KUBECONFIG"] = str(node.plane.kubeconfig)
    output = {}
    for part in PARTS:
        if part.startswith("Inside") or part == "Later":
            for command in commands(part):
                output[command] = inside.type(command, **settings)
    (loaded,) = (text for command, text in output.items() if "--load" in command)
    assert loaded.count("copied") == loaded.count("\n") - 1 > 8
    web = running(node_world, "shop", "web")
    assert web["spec"]["containers"][0]["image"] == (
        "harbor.example.com/dockerhub/library/nginx:1.27"
    )
    pods = node_world.api.get(f"/api/v1/namespaces/{NAME}/pods")["items"]
    images = {each["spec"]["containers"][0]["image"] for each in pods}
    assert images == {"harbor.example.com/ghcr/mirrorhook/mirrorhook:0.1.0"}
    (pull,) = (text for command, text in output.items() if "images pull" in command)
    assert f"harbor.example.com/k8s/kube-apiserver:{KUBEADM.kubernetes}" in pull
