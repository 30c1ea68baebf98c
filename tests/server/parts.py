"""The parts of a server, put together for a test."""

from __future__ import annotations

import json
import time

from tests.server.process import RULES
from webhook.config import parse_rules
from webhook.server.admission import AdmissionEndpoint
from webhook.server.apps import reviews_app
from webhook.server.readiness import Readiness
from webhook.server.recording import Recording
from webhook.server.rules import policies_of
from webhook.server.telling import Telling
from webhook.telemetry import Log, Metrics


def telling(recorder, log):
    """Return what tells a recorder of each review at once."""
    return Telling(recorder, log, lambda _seconds, flush: flush())


class Parts:
    """Attributes: lines: What was logged."""

    def __init__(self, rules=RULES, choice=None):
        self.lines = []
        self.log = Log(lambda line: self.lines.append(json.loads(line)), time.time)
        self.metrics = Metrics("0", lambda: 0.0)
        self.readiness = Readiness()
        self.policies = policies_of(parse_rules(rules, "rules.yaml"), lambda _: choice)

    @property
    def failures(self):
        return [line for line in self.lines if "traceback" in line]

    def app(self, recorder=None):
        return reviews_app(self.endpoint(recorder))

    def endpoint(self, recorder=None):
        return AdmissionEndpoint(
            policies=lambda: self.policies,
            recorder=recorder or telling(Recording(self.log, self.metrics), self.log),
            readiness=self.readiness,
            metrics=self.metrics,
            log=self.log,
            clock=time.time,
            stopwatch=time.perf_counter,
        )
