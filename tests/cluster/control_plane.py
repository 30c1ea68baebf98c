"""A control plane on loopback: etcd, the API server and the controllers.

On Linux, all of 127.0.0.0/8 is local. So a process that listens on the cluster IP of a
Service acts as that Service, without kube-proxy.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.api import Api
from tests.cluster.folders import folder_of_a_cluster
from tests.cluster.processes import Processes
from tests.cluster.programs import NEWEST, Line, program

__all__ = ["ControlPlane", "control_plane"]

USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
    "system:node:node-1": "system:nodes",
}
ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch"],
            "resources": [{"group": "", "resources": ["pods", "pods/ephemeralcontainers"]}],
        },
        {"level": "None"},
    ],
}


@dataclass
class ControlPlane:
    """A running control plane.

    Attributes:
        line: The module that builds its programs.
        controllers: The module that builds its controllers.
        folder: Folder for its data, logs and credentials.
        host: Address of the API server.
        processes: Its processes.
        tokens: Token of each user.
        api: Client of its API server, with administrator permissions.
    """

    line: Line
    controllers: Line
    folder: Path
    host: str
    processes: Processes
    tokens: dict[str, str] = field(repr=False)
    api: Api = field(init=False)
    _clients: list[Api] = field(default_factory=list)
    _pods: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return f"https://{self.host}:443"

    @property
    def authority(self) -> Path:
        return self.folder / "certs/ca.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients that read a kubeconfig."""
        home = {"HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}
        return {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"} | home

    def pod_address(self) -> str:
        """Return a loopback address that no other Pod and no Service uses."""
        third, fourth = divmod(next(self._pods), 250)
        return self.host.removesuffix("0.1") + f"{128 + third}.{1 + fourth}"

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Run kubectl and return its output, including warnings.

        Args:
            arguments: Its arguments.
            given: An object for its standard input.
        """
        return self.run(program("kubectl"), *arguments, given=given)

    def run(self, *command: str | Path, given: Any = None) -> str:
        """Run a program as an administrator and return its output."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            input=None if given is None else json.dumps(given),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
        return done.stdout

    def restart(self, name: str, pause: float = 0.0) -> None:
        """Kill the API server or etcd, start it again after a pause, and wait for it."""
        self.processes.end(name)
        time.sleep(pause)
        self.processes.start_again(name)
        self.processes.wait("the API server", self.api.ready)

    def as_user(self, token: str) -> Api:
        """Return a client of the API server for another user."""
        self._clients.append(Api(self.url, self.authority.read_text(), token))
        return self._clients[-1]

    def close(self) -> None:
        """Stop the control plane."""
        for client in self._clients:
            client.close()
        self.processes.end()

    def audited(self, name: str) -> list[dict[str, Any]]:
        """Return the audit events of Pods with a name."""
        log = self.folder / "audit.log"
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return [event for event in events if event["objectRef"].get("name") == name]

    def write_kubeconfig(self, path: Path, user: str) -> Path:
        """Write a kubeconfig for a user."""
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path


@contextmanager
def control_plane(
    line: Line = NEWEST,
    *,
    controllers: Line | None = None,
    options: tuple[str, ...] = (),
    host: str = "",
    services: str = "",
    inside: tuple[str, ...] = (),
) -> Iterator[ControlPlane]:
    """Run a control plane until the end of the block, and remove everything afterwards.

    Args:
        line: The module that builds its programs.
        controllers: The module that builds its controllers, if it is a different one.
        options: Additional options of the API server.
        host: Its address. Defaults to a free loopback address.
        services: Address range of Services.
        inside: Command prefix that runs its processes in other namespaces.
    """
    with folder_of_a_cluster() as folder:
        (folder / "logs").mkdir()
        (folder / "certs").mkdir()
        host = host or free_host()
        plane = ControlPlane(
            line,
            controllers or line,
            folder,
            host,
            Processes(folder / "logs", inside),
            {user: secrets.token_hex(16) for user in USERS},
        )
        try:
            # The upper half is for Pods.
            start(plane, services or host.removesuffix("1") + "0/17", options)
            yield plane
        finally:
            plane.close()


def start(plane: ControlPlane, services: str, options: tuple[str, ...]) -> None:
    """Start etcd, the API server and the controllers, and wait until Pods can be created."""
    key = plane.folder / "service-account.key"
    # The API server cannot read the public key from an elliptic key in PKCS #8 format.
    command = (
        "openssl",
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        key,
    )
    subprocess.run(command, check=True)
    rows = [f'{plane.tokens[user]},{user},{user},"{group}"\n' for user, group in USERS.items()]
    (plane.folder / "tokens.csv").write_text("".join(rows))
    (plane.folder / "audit.json").write_text(json.dumps(AUDIT))
    start_store(plane)
    start_server(plane, services, key, options)
    certificate = plane.folder / "certs/apiserver.crt"
    plane.processes.wait(
        "the API server's certificate",
        lambda: certificate.exists() and certificate.read_text().count("-----END") == 2,
    )
    last = certificate.read_text().rpartition("-----BEGIN")[2]
    plane.authority.write_text(f"-----BEGIN{last}")
    plane.write_kubeconfig(plane.kubeconfig, "admin")
    plane.api = plane.as_user(plane.tokens["admin"])
    plane.processes.wait("the API server", plane.api.ready)
    start_controllers(plane, key)
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    plane.processes.wait("the default service account", lambda: plane.api.find(account))


def start_store(plane: ControlPlane) -> None:
    client, peer = f"http://{plane.host}:2379", f"http://{plane.host}:2380"
    plane.processes.start(
        "etcd",
        program("etcd"),
        f"--data-dir={plane.folder}/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    )


def start_server(plane: ControlPlane, services: str, key: Path, options: tuple[str, ...]) -> None:
    # Loopback addresses are not valid endpoints, so the Service "kubernetes" gets none.
    loopback = ["--endpoint-reconciler-type=none"] if plane.host.startswith("127.") else []
    plane.processes.start(
        "kube-apiserver",
        program("kube-apiserver", plane.line),
        f"--etcd-servers=http://{plane.host}:2379",
        f"--bind-address={plane.host}",
        f"--advertise-address={plane.host}",
        "--secure-port=443",
        f"--service-cluster-ip-range={services}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--cert-dir={plane.folder}/certs",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={plane.folder}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        f"--audit-policy-file={plane.folder}/audit.json",
        f"--audit-log-path={plane.folder}/audit.log",
        *loopback,
        *options,
    )


def start_controllers(plane: ControlPlane, key: Path) -> None:
    user = "system:kube-controller-manager"
    kubeconfig = plane.write_kubeconfig(plane.folder / "controllers.kubeconfig", user)
    plane.processes.start(
        "kube-controller-manager",
        program("kube-controller-manager", plane.controllers),
        f"--kubeconfig={kubeconfig}",
        f"--bind-address={plane.host}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        f"--service-account-private-key-file={key}",
        f"--root-ca-file={plane.authority}",
    )


def free_host() -> str:
    """Return an unused loopback address, so that several clusters can run at once."""
    for number in range(128, 192):
        host = f"127.{number}.0.1"
        try:
            for port in (443, 2379):
                socket.create_server((host, port)).close()
        except OSError:
            continue
        return host
    raise RuntimeError("no loopback address from 127.128.0.1 to 127.191.0.1 is free")
