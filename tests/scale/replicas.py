"""Replicas as the API server sees them: their real client code, many of them in one process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

from tests.cluster.api import namespaced
from tests.cluster.release import Release
from webhook.kube.client import KubeClient
from webhook.kube.cluster import Cluster
from webhook.tls import Certificate, ManagedCertificate, RotationStatus, Rotator

__all__ = ["Replicas", "SimulatedReplica", "publish_endpoints"]


class SimulatedReplica:
    """What one replica does towards the API server: it watches, checks and publishes the CA.

    Args:
        managed: The objects of its certificate.
        kubeconfig: Identity of the webhook.
        events: Counts what it logs.
    """

    def __init__(self, managed: ManagedCertificate, kubeconfig: Path, events: Counter[str]) -> None:
        self.cluster = Cluster(KubeClient.load(kubeconfig))
        self.ready = False
        self.issuer = ""
        self.problems: tuple[str, ...] = ()
        self._events = events
        self.rotator = Rotator(
            managed,
            self.cluster,
            clock=lambda: datetime.now(UTC),
            on_certificate=self._use,
            on_status=self._note,
            log=self,
        )

    def info(self, event: str, **fields: Any) -> None:
        self._events[event] += 1

    warning = info

    def _use(self, certificate: Certificate) -> None:
        self._events["certificates"] += 1

    def _note(self, status: RotationStatus) -> None:
        self.ready = status.ready
        self.problems = status.problems

    @property
    def serial(self) -> int:
        """Serial number of the CA of its certificate; 0 without one."""
        current = self.rotator.current
        return current.issuer.serial_number if current else 0


class Replicas:
    """Simulated replicas, in a thread.

    Args:
        release: The release.
        count: How many.

    Attributes:
        replicas: The replicas.
        events: What they logged, and how often.
    """

    def __init__(self, release: Release, count: int) -> None:
        self.events = Counter[str]()
        self._loop = asyncio.new_event_loop()
        space = name = release.name
        managed = ManagedCertificate(space, f"{name}-ca", space, name, f"{name}.{name}")
        kubeconfig = write_identity(release)
        self.replicas = [SimulatedReplica(managed, kubeconfig, self.events) for _ in range(count)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run them until the end of the block."""
        thread = Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        thread.start()
        yield
        self._loop.call_soon_threadsafe(self._stopped.set)
        thread.join()

    def list_endpoints(self, release: Release) -> int:
        """Let one list the others, as for a visitor of its console."""
        call = self.replicas[0].cluster.list_endpoints(release.name, release.name, "operations")
        return len(asyncio.run_coroutine_threadsafe(call, self._loop).result(30))

    async def _run(self) -> None:
        self._stopped = asyncio.Event()
        tasks = [asyncio.create_task(each.rotator.run()) for each in self.replicas]
        await self._stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def write_identity(release: Release) -> Path:
    """Write a kubeconfig with the identity of the webhook's service account."""
    plane = release.plane
    deployment = plane.api.get(namespaced("apps/v1/deployments", release.name, release.name))
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    path = namespaced("serviceaccounts", release.name, f"{account}/token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    plane.tokens["webhook"] = plane.api.post(path, body)["status"]["token"]
    return plane.write_kubeconfig(plane.folder / "webhook.kubeconfig", "webhook")


def publish_endpoints(release: Release, count: int) -> None:
    """Write the EndpointSlice of the Service, as its controller does for so many replicas."""
    api = release.plane.api
    service = api.get(namespaced("services", release.name, release.name))
    ports = [
        {"name": each["name"], "port": 8443 if each["port"] == 443 else 8080, "protocol": "TCP"}
        for each in service["spec"]["ports"]
    ]
    if not any(port["name"] == "operations" for port in ports):
        ports.append({"name": "operations", "port": 8080, "protocol": "TCP"})
    endpoints = [
        {
            "addresses": [release.plane.pod_address()],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "namespace": release.name, "name": f"replica-{number}"},
        }
        for number in range(count)
    ]
    api.post(
        namespaced("discovery.k8s.io/v1/endpointslices", release.name),
        {
            "metadata": {
                "name": f"{release.name}-replicas",
                "labels": {"kubernetes.io/service-name": release.name},
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": endpoints,
        },
    )
