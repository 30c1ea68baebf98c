"""A release of the chart, whose Pods are run by the test instead of a kubelet.

The chart is installed with real Helm. The test runs the webhook as its Deployment says, with
its arguments, its mounted ConfigMaps and Secrets, and the identity of its ServiceAccount.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import PATIENCE, until
from tests.cluster.service import ServiceProxy
from tests.generate.logs import find_unlisted
from tests.tools.helm import helm4
from tests.tools.volume import mount

__all__ = ["Release", "Replica", "released"]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/mirrorhook"
ACCOUNT = "secrets/kubernetes.io/serviceaccount"

# A separate mount namespace, so that the process finds its service account at the usual path.
AS_POD = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /run && exec "$@"')


@dataclass
class Replica:
    """A Pod of the webhook.

    Attributes:
        name: Its name.
        address: Its address. It listens on the ports of the chart.
        folder: Folder with its mounted files.
        process: The process of the webhook.
    """

    name: str
    address: str
    folder: Path
    process: Popen[bytes]
    log: Path

    def ask(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}:8080{path}", timeout=PATIENCE)

    @property
    def ready(self) -> bool:
        try:
            return self.ask("/readyz").is_success
        except httpx.TransportError:
            return False

    def metric(self, series: str) -> float:
        for line in self.ask("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0

    def list_lines(self) -> list[dict[str, Any]]:
        """Return its log, without lines that were cut as it was killed or its disk was full.

        A log that goes to a pipe cannot be read again.
        """
        found = []
        if self.log.is_file():
            for line in self.log.read_text(errors="replace").splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.list_lines() if line["event"] == event]


class Release:
    """A release in a cluster.

    Args:
        plane: The cluster.
        name: Name of the release and of its namespace.

    Attributes:
        environment: Variables of Pods that are started from now on.
    """

    def __init__(self, plane: ControlPlane, name: str = "mirrorhook") -> None:
        self.plane = plane
        self.name = name
        self.values: dict[str, Any] = {}
        self.replicas: list[Replica] = []
        self.environment: dict[str, str] = {}
        self._made = 0
        self._unlisted: list[str] = []
        self._stack = ExitStack()
        self.proxy: ServiceProxy | None = None

    @property
    def configuration(self) -> str:
        """Path of its MutatingWebhookConfiguration."""
        root = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        return f"{root}/{self.name}.{self.name}"

    @property
    def authority(self) -> str:
        """Path of the Secret of its CA."""
        return namespaced("secrets", self.name, f"{self.name}-ca")

    def install(self, values: dict[str, Any], helm: Path | None = None) -> None:
        """Install or upgrade the release, and start the proxy of its Service."""
        self.values = values
        file = self.plane.folder / f"{self.name}-values.json"
        file.write_text(json.dumps(values))
        self.plane.run(
            *(helm or helm4(), "upgrade", "--install", self.name, CHART),
            *("--namespace", self.name, "--create-namespace", "--values", file),
        )
        self.start_proxy()

    def start_proxy(self) -> None:
        """Start the proxy of the Service, unless it runs."""
        if self.proxy is None:
            service = self.plane.api.get(namespaced("services", self.name, self.name))
            self.proxy = self._stack.enter_context(
                ServiceProxy(
                    service["spec"]["clusterIP"],
                    lambda: [replica.address for replica in self.replicas],
                )
            )

    def install_again(self, helm: Path | None = None, **values: Any) -> None:
        """Upgrade the release, which also restores objects that were deleted."""
        self.install(self.values | values, helm)

    def uninstall(self) -> None:
        """Uninstall the release and stop its Pods."""
        try:
            command = ("uninstall", self.name, "--namespace", self.name, "--ignore-not-found")
            self.plane.run(helm4(), *command)
        finally:
            self.close()

    def close(self) -> None:
        """Stop its Pods and the proxy of its Service, and check what all its Pods have logged."""
        for replica in tuple(self.replicas):
            self.kill(replica)
        self._stack.close()
        self.proxy = None
        unlisted, self._unlisted = self._unlisted, []
        assert unlisted == []

    def run_replicas(self, count: int = 1) -> list[Replica]:
        """Start additional Pods, and wait until the Service uses them."""
        made = [self.start_replica() for _ in range(count)]
        self.wait_ready(*made)
        return made

    def wait_ready(self, *replicas: Replica) -> None:
        """Wait until Pods are ready and the Service uses them."""
        assert self.proxy
        for replica in replicas:
            self.plane.processes.wait(
                f"{replica.name} behind its Service",
                lambda address=replica.address: address in self.proxy.ready,
            )

    def start_replica(self) -> Replica:
        """Start a Pod according to the Deployment."""
        replica = self._start(self.plane.pod_address())
        self.replicas.append(replica)
        return replica

    def serve_alone(self) -> Replica:
        """Start a Pod that listens on the address of the Service, without a proxy."""
        service = self.plane.api.get(namespaced("services", self.name, self.name))
        replica = self._start(service["spec"]["clusterIP"], "--port=443")
        self.plane.processes.wait("the webhook", lambda: replica.ready)
        return replica

    def _start(self, address: str, *more: str) -> Replica:
        path = namespaced("apps/v1/deployments", self.name, self.name)
        spec = self.plane.api.get(path)["spec"]["template"]["spec"]
        self._made += 1
        name = f"{self.name}-{self._made}"
        folder = self.plane.folder / name
        self._mount(folder, spec)
        (container,) = spec["containers"]
        arguments = [placed(argument, container, folder) for argument in container["args"]]
        process = self.plane.processes.start(
            name,
            *AS_POD,
            folder / "run",
            sys.executable,
            *("-m", "webhook", *arguments, f"--host={address}", *more),
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "KUBERNETES_SERVICE_HOST": self.plane.host,
                "KUBERNETES_SERVICE_PORT": "443",
                **self.environment,
            },
        )
        log = self.plane.processes.logs / f"{name}.log"
        return Replica(name, address, folder, process, log)

    def kill(self, replica: Replica) -> None:
        """Kill a Pod."""
        self.replicas.remove(replica)
        self.plane.processes.end(replica.name)
        shutil.rmtree(replica.folder)
        self._unlisted += filter(None, map(find_unlisted, replica.list_lines()))

    def bring_rules(self, *replicas: Replica) -> None:
        """Update the mounted ConfigMap in the Pods, as the kubelet does about once a minute."""
        for replica in replicas or self.replicas:
            self._fill(replica.folder / "rules", "configmaps", f"{self.name}-rules")

    def bring_certificate(self, secret: str) -> None:
        """Update the mounted Secret with a certificate in the Pods, as the kubelet does."""
        for replica in self.replicas:
            self._fill(replica.folder / "tls", "secrets", secret)

    def _mount(self, folder: Path, spec: dict[str, Any]) -> None:
        for volume in spec["volumes"]:
            if "configMap" in volume:
                self._fill(folder / volume["name"], "configmaps", volume["configMap"]["name"])
            elif "secret" in volume:
                self._fill(folder / volume["name"], "secrets", volume["secret"]["secretName"])
        account = folder / "run" / ACCOUNT
        account.mkdir(parents=True)
        token = self.plane.api.create_token(self.name, spec["serviceAccountName"])
        (account / "token").write_text(token)
        (account / "namespace").write_text(self.name)
        shutil.copy(self.plane.authority, account / "ca.crt")

    def _fill(self, folder: Path, resource: str, name: str) -> None:
        """Write a ConfigMap or Secret to files, and replace the old files atomically."""
        found = self.plane.api.get(namespaced(resource, self.name, name))
        version = found["metadata"]["resourceVersion"]
        if not (folder / f"..{version}").exists():
            decode = base64.b64decode if resource == "secrets" else str.encode
            mount(folder, version, {key: decode(value) for key, value in found["data"].items()})


def placed(argument: str, container: dict[str, Any], folder: Path) -> str:
    """Return an argument in which paths of mounts are replaced by paths on this machine."""
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    paths = "|".join(map(re.escape, mounts))
    return re.sub(paths, lambda found: str(folder / mounts[found[0]]), argument)


@contextmanager
def released(
    plane: ControlPlane,
    values: dict[str, Any],
    *,
    name: str = "mirrorhook",
    replicas: int = 1,
    prepare: Callable[[Release], None] = lambda _: None,
) -> Iterator[Release]:
    """Install a release with running Pods until the end of the block.

    Args:
        plane: The cluster.
        values: Values of the chart.
        name: Name of the release and of its namespace.
        replicas: How many Pods to run.
        prepare: Called after the installation, before the first Pod starts.
    """
    release = Release(plane, name)
    try:
        release.install(values)
        prepare(release)
        release.run_replicas(replicas)
        until(lambda: trusted(release), "a CA bundle in the configuration")
        yield release
    finally:
        # Also after a failure: API servers ask a webhook without Pods for every Pod.
        release.uninstall()


def trusted(release: Release) -> bool:
    """Return whether every webhook of the configuration has a CA bundle."""
    found = release.plane.api.get(release.configuration)
    return all(webhook["clientConfig"].get("caBundle") for webhook in found["webhooks"])
