from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace

import httpx
import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission import review
from webhook.config import parse_rules
from webhook.server.console import ConsoleViews
from webhook.server.console.replicas import DecisionExchange, ReplicaDirectory
from webhook.server.console.routes import create_console_router
from webhook.server.history import History
from webhook.server.mirror_health import MirrorHealth
from webhook.server.operations import create_operations_app
from webhook.server.policies import PolicyStore
from webhook.server.recorder import ReviewRecorder

NOON = 1_800_000_000.0
RULES = """\
rules:
  - {match: docker.io, mirrors: [h.example/hub, {target: i.example/hub, flatten: true}]}
  - {match: docker.io/bitnami, mirrors: [docker.io/bitnamilegacy]}
  - {match: quay.io, mirrors: [h.example/quay]}
  - {match: quay.io/our-team, keep: true}
policies:
  team-a: {mode: observe, rules: [{match: "*", mirrors: [j.example]}]}
"""


class Certificate(SimpleNamespace):
    def __str__(self):
        return "certificate of a test"


ASKED = ContextVar("the console that is being asked")


class Part:
    """A part of the console that is being asked."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(getattr(ASKED.get(), self._name), attribute)


def own_state():
    return ASKED.get().views.get_replica_state()


@cache
def app_of_all():
    """Return one application for all consoles, as FastAPI takes 0.1 s to build one."""
    routes = create_console_router(Part("views"), Part("directory"), lambda: ASKED.get().now)
    return create_operations_app(
        Part("readiness"),
        Part("metrics"),
        own_state=own_state,
        exchange=Part("exchange"),
        console=routes,
    )


class Console:
    """A console that is asked in this process, from any client address."""

    def __init__(self, rules=RULES, patience=20.0):
        self.now = NOON
        parts = Parts()
        self.readiness = parts.readiness
        self.history = History(lambda: self.now)
        self.recorder = ReviewRecorder(parts.log, parts.metrics, self.history)
        self.mirror_health = MirrorHealth(parts.log, parts.metrics, lambda: 0.0)
        self.rules = PolicyStore(
            parse_rules(rules, "rules.yaml"),
            log=parts.log,
            metrics=parts.metrics,
            clock=lambda: self.now,
            stopwatch=lambda: self.seconds,
            mirror_health=self.mirror_health,
            readiness=parts.readiness,
        )
        self.views = ConsoleViews(
            history=self.history,
            rules=self.rules,
            mirror_health=self.mirror_health,
            certificate=Certificate(expires_at=datetime(2027, 3, 1, tzinfo=UTC)),
            readiness=parts.readiness,
            replica="mirrorhook-7d4b9-x2x7k",
            started=NOON,
        )
        self.seconds = 0.0
        self.seal = None
        self.exchange = DecisionExchange(self.history.find, lambda: self.seal, self.views.identity)
        self.directory = ReplicaDirectory(
            own=self.views.get_replica_state,
            exchange=self.exchange,
            managed=None,
            clock=lambda: self.seconds,
            timeout=patience,
        )
        self.metrics = parts.metrics

    @property
    def app(self):
        return app_of_all()

    def review(self, *images, policy="default", **request):
        answer(review_of(*images, **request), self.rules.policies[policy], self.recorder)

    def create(self, name, image="nginx", namespace="shop", policy="default", **metadata):
        """Review a Pod; a name that ends with a dash is a generateName."""
        named = {"generateName": name} if name.endswith("-") else {"name": name}
        spec = {"containers": [{"name": "c0", "image": image}]}
        pod = {"metadata": {**named, **metadata}, "spec": spec}
        self.review(object=pod, namespace=namespace, policy=policy)

    async def review_asking(self, *images):
        policy = self.rules.policies["default"]
        await review(review_of(*images), policy, self.recorder, 5.0)

    async def ask(self, path, client="127.0.0.1", host="localhost:8080", **options):
        ASKED.set(self)
        transport = httpx.ASGITransport(self.app, client=(client, 1234))
        url = f"http://{host}"
        async with httpx.AsyncClient(transport=transport, base_url=url) as asking:
            return await asking.get(path, **options)

    async def json(self, path, **params):
        answered = await self.ask(path, params=params)
        assert answered.status_code == 200, answered.text
        return answered.json()

    async def text(self, **params):
        answered = await self.ask("/", params=params)
        assert answered.status_code == 200, answered.text
        return answered.text


@pytest.fixture
def console():
    return Console()


@pytest.fixture
def anyio_backend():
    return "asyncio"
