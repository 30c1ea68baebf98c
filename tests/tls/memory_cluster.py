"""A cluster in memory whose calls are stepped by hand, so that tests can try every order in
which replicas overtake each other.
"""

from __future__ import annotations

from dataclasses import replace

from webhook.kube import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    Secret,
    UnavailableError,
    WebhookConfiguration,
)
from webhook.tls import ManagedCertificate

MANAGED = ManagedCertificate(
    secret_namespace="mirrorhook",
    secret_name="mirrorhook-ca",
    service_namespace="mirrorhook",
    service_name="mirrorhook",
    configuration="mirrorhook",
)


class Turn:
    """The time between a request and its response."""

    def __await__(self):
        yield


class MemoryCluster:
    """Attributes:
    secret_now: The Secret, or None.
    configuration_now: The configuration, or None.
    denied: Methods that are forbidden.
    away: Whether the API server cannot be reached.
    writes: Methods that have changed something, in order.
    """

    def __init__(self):
        self.secret_now = None
        self.configuration_now = None
        self.denied = set()
        self.away = False
        self.writes = []
        self.published = lambda: None
        self._version = 0

    def _next(self):
        self._version += 1
        return str(self._version)

    def put_secret(self, kind, data):
        self.secret_now = Secret(
            MANAGED.secret_namespace, MANAGED.secret_name, kind, data, self._next()
        )

    def put_bundles(self, bundles):
        self.configuration_now = WebhookConfiguration(MANAGED.configuration, bundles, self._next())

    async def _turn(self, method):
        await Turn()
        if self.away:
            raise UnavailableError(f"cannot {method}: away")
        if method in self.denied:
            raise ForbiddenError(f"cannot {method}: denied")

    async def get_secret(self, _namespace, _name):
        await self._turn("get Secret")
        return self.secret_now

    async def get_webhook_configuration(self, _name):
        await self._turn("get configuration")
        return self.configuration_now

    async def create_secret(self, _namespace, _name, kind, data):
        await self._turn("create Secret")
        if self.secret_now is not None:
            raise ConflictError("there already")
        self.put_secret(kind, data)
        self.writes.append("create Secret")
        return self.secret_now

    async def patch_secret(self, secret, data):
        await self._turn("patch Secret")
        current = self._same(self.secret_now, secret)
        self.put_secret(current.type, {**current.data, **data})
        self.writes.append("patch Secret")
        return self.secret_now

    async def patch_ca_bundles(self, registration, bundle):
        await self._turn("patch configuration")
        current = self._same(self.configuration_now, registration)
        self.configuration_now = replace(
            current,
            ca_bundles=dict.fromkeys(current.ca_bundles, bundle),
            version=self._next(),
            field_managers=({"manager": "mirrorhook"},),
        )
        self.writes.append("patch configuration")
        self.published()
        return self.configuration_now

    async def disown_ca_bundles(self, registration):
        await self._turn("patch configuration")
        current = self._same(self.configuration_now, registration)
        self.configuration_now = replace(current, version=self._next(), field_managers=())

    def _same(self, current, read):
        if current is None:
            raise NotFoundError("gone")
        if current.version != read.version:
            raise ConflictError("changed")
        return current


class MemoryLog:
    """A log that keeps its lines."""

    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append((event, fields))

    def warning(self, event, **fields):
        self.lines.append((event, fields))

    def events(self):
        return [event for event, _ in self.lines]


class Group:
    """Replicas at one cluster, whose rounds are taken step by step."""

    def __init__(self, make, cluster, count):
        self.make = make
        self.cluster = cluster
        self.replicas = [make(cluster) for _ in range(count)]
        self.rounds = [None] * count
        self.outcomes = [None] * count

    def step(self, index):
        """Let one replica go on to its next call, or begin a round."""
        if self.rounds[index] is None:
            self.rounds[index] = self.replicas[index].run_round()
        try:
            self.rounds[index].send(None)
        except StopIteration as end:
            self.outcomes[index] = end.value
            self.rounds[index] = None

    def finish(self, index):
        """Let one replica end its round, or take a whole one."""
        self.step(index)
        while self.rounds[index] is not None:
            self.step(index)
        return self.outcomes[index]

    def settle(self, times=4):
        """Let all replicas take whole rounds in turn."""
        for _ in range(times):
            for index in range(len(self.replicas)):
                self.finish(index)

    def restart(self, index):
        """Replace one replica by a new process."""
        if self.rounds[index] is not None:
            self.rounds[index].close()
            self.rounds[index] = None
        self.replicas[index] = self.make(self.cluster)
