"""From the options of the command line to a running webhook: where the parts meet."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import uvloop

from webhook import __version__
from webhook.config import load_rules
from webhook.server.app import AdmissionWebhook, create_app
from webhook.server.background import kept_running
from webhook.server.certificates import serving_certificate
from webhook.server.console import ConsoleViews
from webhook.server.console.replicas import ReplicaDirectory
from webhook.server.console.routes import console_routes
from webhook.server.history import History
from webhook.server.listeners import listen
from webhook.server.looping import Looping
from webhook.server.operations import create_operations_app
from webhook.server.ports import Ports
from webhook.server.probing import Probers
from webhook.server.readiness import Readiness
from webhook.server.recorder import ReviewRecorder
from webhook.server.rules import RulesInUse
from webhook.telemetry import LineWriter, Log, Metrics, open_tracing, take_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.server.options import Options

__all__ = ["run"]

STDOUT: Final = 1
LIBRARIES: Final = ("uvicorn.error", "opentelemetry")
YOUNG_OBJECTS: Final = 10_000
TRACE_SECONDS: Final = 3.0
LOG_SECONDS: Final = 2.0


def run(options: Options, announce: Callable[[str], None]) -> None:
    """Run the webhook until a signal ends it.

    Args:
        options: How to run it.
        announce: Is told in one sentence that the webhook is ready.

    Raises:
        ConfigurationError: The rules file is wrong.
        CertificateError: The certificate cannot be used.
        ClusterError: It cannot be told where the cluster is.
        ListenError: A port cannot be listened on.
        TracingError: Traces are asked for, and cannot be made.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, announce))


async def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Put the parts together, and serve until a signal comes."""
    configuration = load_rules(options.config)
    lines = LineWriter(STDOUT)
    log = Log(lines.write, time.time)
    take_over(log, *LIBRARIES)
    metrics = Metrics(__version__, lambda: lines.dropped)
    readiness = Readiness()
    probers = Probers(log, metrics, time.monotonic)
    rules = RulesInUse(
        configuration,
        log=log,
        metrics=metrics,
        clock=time.time,
        probers=probers,
        loops=Looping(log, metrics, time.monotonic).counter,
    )
    certificate = serving_certificate(
        options,
        log=log,
        metrics=metrics,
        readiness=readiness,
        clock=lambda: datetime.now(UTC),
    )
    history = History(time.time) if options.console else None
    views = None
    console = None
    if history is not None:
        views = ConsoleViews(
            history=history,
            rules=rules,
            probers=probers,
            certificate=certificate,
            readiness=readiness,
            replica=socket.gethostname(),
            started=time.time(),
        )
        directory = ReplicaDirectory(views.replica_state, options.managed, time.monotonic)
        console = console_routes(views, directory)
    reviews = create_app(
        AdmissionWebhook(
            policies=lambda: rules.policies,
            recorder=ReviewRecorder(log, metrics, history),
            readiness=readiness,
            metrics=metrics,
            log=log,
            clock=time.time,
            stopwatch=time.perf_counter,
        )
    )
    operations = create_operations_app(
        readiness, metrics, own_state=views.replica_state if views else None, console=console
    )
    tracing = open_tracing(os.environ, __version__)
    ports = Ports(
        reviews=listen(
            options.host,
            options.port,
            tracing.of(reviews) if tracing else reviews,
            certificate,
        ),
        operations=listen(options.host, options.operations_port, operations),
        readiness=readiness,
        log=log,
        drain=options.drain,
    )
    background = [
        kept_running("rules", lambda: rules.follow(options.config), log),
        kept_running("certificate", certificate.follow, log),
    ]
    try:
        await ports.open()
        # What is there now stays to the end: the collector need not look at it again. And
        # reviews leave no cycles behind, so that it need not look that often either.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        announce(
            f"mirrorhook {__version__} is ready: reviews on {ports.reviews.address}, "
            f"probes and metrics on {ports.operations.address}; {certificate}"
        )
        await ports.closed()
    finally:
        for task in background:
            task.cancel()
        if tracing:
            tracing.close(TRACE_SECONDS)
        lines.close(LOG_SECONDS)
