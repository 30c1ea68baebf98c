"""A cluster with a node that pulls images and runs Pods.

It has a separate network without access to other networks: an image that is not rewritten
to the registry in this network cannot be pulled.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.cgroup import control_group
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.folders import folder_of_a_cluster
from tests.cluster.namespaces import isolated
from tests.cluster.packages import PATH
from tests.cluster.processes import Processes
from tests.cluster.programs import CONTAINERD, NEWEST, program
from tests.tools.helm import helm3, helm4
from tests.tools.registry import push_files

__all__ = ["REGISTRY", "Node", "cluster_with_node", "prepare"]

ADDRESS, SERVICES, PODS = "10.97.0.1", "10.96.0.0/16", "10.98.0.0/24"
REGISTRY = "127.0.0.1:5000"
PAUSE = "test/pause:1"
IDLE = ("/bin/sleep", "1000000")
PULL = re.compile(r'"(?:GET|HEAD) /v2/(\S+)/manifests/(\S+) HTTP')
RUNTIME = "unix:///run/containerd/containerd.sock"


@dataclass(frozen=True)
class Node:
    """A running cluster with a node.

    Attributes:
        plane: Its control plane.
        folder: Folder for the data and logs of the node.
    """

    plane: ControlPlane
    folder: Path

    def push(self, name: str, *command: str, files: dict[str, bytes] | None = None) -> str:
        """Push an image of busybox to the registry, and return its digest."""
        content = busybox() | (files or {})
        return push_files(REGISTRY, name, content, command=command or IDLE)

    def pulled(self) -> set[str]:
        """Return the images that were pulled, by their names in the registry."""
        log = (self.plane.processes.logs / "registry.log").read_text()
        return {f"{name}:{tag}" for name, tag in PULL.findall(log)}


def prepare() -> None:
    """Build or download the programs, which needs a network connection."""
    for line in (NEWEST, CONTAINERD):
        for name in line.packages:
            program(name, line)
    helm3()
    helm4()


@contextmanager
def cluster_with_node() -> Iterator[Node]:
    """Run a cluster with a node until the end of the block, with this thread in its network."""
    prepare()
    with (
        folder_of_a_cluster() as folder,
        control_group(folder.name) as group,
        isolated(folder, ADDRESS, SERVICES) as inside,
        control_plane(host=ADDRESS, services=SERVICES, inside=inside) as plane,
    ):
        start_registry(plane.processes, folder)
        node = Node(plane, folder)
        node.push(PAUSE)
        start_runtime(plane.processes, folder)
        start_node(plane, folder, group)
        path = "/api/v1/nodes/node-1"
        plane.processes.wait("the node", lambda: ready(plane.api.find(path)))
        yield node


def ready(node: dict[str, Any] | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def start_registry(processes: Processes, folder: Path) -> None:
    """Start the registry that serves as mirror."""
    configuration = folder / "registry.json"
    storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
    log = {"level": "info", "formatter": "json"}
    content = {"version": "0.1", "log": log, "http": {"addr": REGISTRY}, "storage": storage}
    configuration.write_text(json.dumps(content))
    processes.start("registry", "docker-registry", "serve", configuration)

    def answers() -> bool:
        try:
            return httpx.get(f"http://{REGISTRY}/v2/").is_success
        except httpx.TransportError:
            return False

    processes.wait("the registry", answers)


def start_runtime(processes: Processes, folder: Path) -> None:
    """Start containerd."""
    (folder / "cni").mkdir()
    addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]]}
    addresses["routes"] = [{"dst": "0.0.0.0/0"}]
    network = {"cniVersion": "1.0.0", "name": "test"}
    network["plugins"] = [{"type": "ptp", "ipam": addresses}]
    (folder / "cni/test.conflist").write_text(json.dumps(network))
    (folder / "certs.d").mkdir()
    (folder / "containerd.toml").write_text(f"""\
version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{REGISTRY}/{PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true  # lowering it needs CAP_SYS_RESOURCE
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
conf_dir = "{folder}/cni"
""")
    containerd = program("containerd", CONTAINERD)
    processes.start(
        "containerd",
        containerd,
        f"--config={folder}/containerd.toml",
        env={"PATH": f"{containerd.parent}:{PATH}"},
    )
    socket = folder / "run/containerd/containerd.sock"
    processes.wait("containerd", socket.is_socket)


def start_node(plane: ControlPlane, folder: Path, group: str) -> None:
    """Start the kubelet, kube-proxy and the scheduler."""
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": RUNTIME,
        "address": ADDRESS,
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},  # the network is isolated
        "staticPodPath": str(folder / "static"),
        "fileCheckFrequency": "1s",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "1Mi"},
        "localStorageCapacityIsolation": False,
        "clusterDNS": ["10.96.0.10"],
        "resolvConf": "",
    }
    (folder / "static").mkdir()
    (folder / "kubelet.json").write_text(json.dumps(configuration))

    def kubeconfig(name: str, user: str) -> str:
        return f"--kubeconfig={plane.write_kubeconfig(folder / f'{name}.kubeconfig', user)}"

    environment = {"PATH": PATH}
    plane.processes.start(
        "kubelet",
        program("kubelet"),
        f"--config={folder}/kubelet.json",
        kubeconfig("kubelet", "system:node:node-1"),
        "--hostname-override=node-1",
        f"--node-ip={ADDRESS}",
        env=environment,
    )
    plane.processes.start(
        "kube-scheduler",
        program("kube-scheduler"),
        kubeconfig("scheduler", "system:kube-scheduler"),
        "--leader-elect=false",
        f"--bind-address={ADDRESS}",
    )
    plane.processes.start(
        "kube-proxy",
        program("kube-proxy"),
        kubeconfig("proxy", "system:kube-proxy"),
        "--hostname-override=node-1",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        "--conntrack-max-per-core=0",
        env=environment,
    )


def busybox() -> dict[str, bytes]:
    """Return the files of an image of busybox."""
    path = shutil.which("busybox")
    assert path
    program = Path(path).read_bytes()
    return dict.fromkeys(("bin/sh", "bin/sleep", "bin/cat", "bin/ls"), program)
