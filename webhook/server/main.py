"""Running the webhook: where its parts are created and connected."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import uvloop

from webhook import __version__
from webhook.config import ConfigurationError, load_rules
from webhook.config.models import NO_RULES
from webhook.server.app import AdmissionWebhook, create_app
from webhook.server.certificates import create_serving_certificate
from webhook.server.connections import ClosingRecorder
from webhook.server.console import ConsoleViews
from webhook.server.console.replicas import DecisionExchange, ReplicaDirectory
from webhook.server.console.routes import create_console_router
from webhook.server.history import History
from webhook.server.lifecycle import Lifecycle, keep_running
from webhook.server.listener import listen
from webhook.server.mirror_health import MirrorHealth
from webhook.server.operations import create_operations_app
from webhook.server.policies import PolicyStore
from webhook.server.readiness import Readiness
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import LineWriter, Log, Metrics, open_tracing, redirect_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from webhook.config import Configuration
    from webhook.server.certificates import ServingCertificate
    from webhook.server.settings import ServerSettings

__all__ = ["run"]

STDOUT: Final = 1
LIBRARIES: Final = ("uvicorn.error", "opentelemetry")
YOUNG_OBJECTS: Final = 10_000
TRACE_SECONDS: Final = 3.0
LOG_SECONDS: Final = 2.0


def run(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Run the webhook until a signal ends it.

    Args:
        settings: How to run it.
        announce: Is called with one sentence when the webhook is ready.

    Raises:
        ConfigurationError: The rules file is wrong.
        CertificateError: The certificate cannot be used.
        ClusterError: The address of the cluster is unknown.
        ListenError: A port cannot be listened on.
        TracingError: Traces are asked for, and cannot be made.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, announce))


async def _serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    configuration = _load_rules(settings)
    with ExitStack() as stack:
        lines = LineWriter(STDOUT)
        stack.callback(lines.close, LOG_SECONDS)
        log = Log(lines.write, time.time, settings.log_level)
        redirect_logging(log, *LIBRARIES)
        metrics = Metrics(__version__, lambda: lines.dropped)
        readiness = Readiness()
        mirror_health = MirrorHealth(log, metrics, time.monotonic)
        policies = PolicyStore(
            configuration,
            log=log,
            metrics=metrics,
            clock=time.time,
            stopwatch=time.monotonic,
            mirror_health=mirror_health,
            readiness=readiness,
        )
        certificate = create_serving_certificate(
            settings,
            log=log,
            metrics=metrics,
            readiness=readiness,
            clock=lambda: datetime.now(UTC),
        )
        operations, history = _create_operations(
            settings, policies, mirror_health, certificate, readiness, metrics
        )
        tracing = open_tracing(os.environ, __version__)
        if tracing:
            stack.callback(tracing.close, TRACE_SECONDS)
        reviews = create_app(
            AdmissionWebhook(
                store=policies,
                recorder=ReviewRecorder(log, metrics, history),
                readiness=readiness,
                metrics=metrics,
                log=log,
                clock=time.time,
                stopwatch=time.perf_counter,
            ),
            tracing,
        )
        on_closing = ClosingRecorder(log, metrics, time.monotonic).record
        lifecycle = Lifecycle(
            reviews=listen(
                settings.host, settings.port, reviews, certificate, on_closing=on_closing
            ),
            operations=listen(
                settings.host, settings.operations_port, operations, on_closing=on_closing
            ),
            readiness=readiness,
            log=log,
            drain=settings.drain,
        )
        for task in _start_following(settings, policies, certificate, log, metrics, readiness):
            stack.callback(task.cancel)
        await lifecycle.open()
        _tune_garbage_collection()
        state = "is ready" if policies.policies else "waits for valid rules"
        announce(
            f"mirrorhook {__version__} {state}: reviews on {lifecycle.reviews.address}, "
            f"probes and metrics on {lifecycle.operations.address}; {certificate}"
        )
        await lifecycle.wait()


def _load_rules(settings: ServerSettings) -> Configuration:
    try:
        return load_rules(settings.config)
    except ConfigurationError:
        if not settings.wait_for_rules:
            raise
        return NO_RULES  # `PolicyStore.follow` reports what is wrong


def _create_operations(
    settings: ServerSettings,
    policies: PolicyStore,
    mirror_health: MirrorHealth,
    certificate: ServingCertificate,
    readiness: Readiness,
    metrics: Metrics,
) -> tuple[FastAPI, History | None]:
    """Return the application of the operations port, and what its console shows of reviews."""
    if not settings.console:
        return create_operations_app(readiness, metrics), None
    history = History(time.time)
    views = ConsoleViews(
        history=history,
        rules=policies,
        mirror_health=mirror_health,
        certificate=certificate,
        readiness=readiness,
        replica=socket.gethostname(),
        started=time.time(),
    )
    exchange = DecisionExchange(history.find, lambda: certificate.seal, views.identity)
    directory = ReplicaDirectory(
        views.get_replica_state, exchange, settings.managed, time.monotonic
    )
    app = create_operations_app(
        readiness,
        metrics,
        own_state=views.get_replica_state,
        exchange=exchange,
        console=create_console_router(views, directory, time.time),
    )
    return app, history


def _start_following(
    settings: ServerSettings,
    policies: PolicyStore,
    certificate: ServingCertificate,
    log: Log,
    metrics: Metrics,
    readiness: Readiness,
) -> Iterator[asyncio.Task[None]]:
    """Start what follows changes of rules and certificates, each in a task."""
    yield keep_running("rules", lambda: policies.follow(settings.config), log)
    yield keep_running("certificate", certificate.follow, log)
    if client_ca := settings.client_ca:
        yield keep_running("client CA", lambda: certificate.follow_clients(client_ca), log)
    if settings.custom_resources:
        # It needs the kubernetes package, which is optional.
        from webhook.server.custom_resources import create_custom_resources  # noqa: PLC0415

        resources = create_custom_resources(
            settings, policies, log=log, metrics=metrics, readiness=readiness
        )
        yield keep_running("custom resources", resources.follow, log)


def _tune_garbage_collection() -> None:
    """Exclude what lives until the end from garbage collection, and collect the rest less often.

    Reviews leave no reference cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
