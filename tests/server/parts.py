"""The parts of a server, put together for a test."""

from __future__ import annotations

import json
import time

from tests.server.process import RULES
from webhook.config import parse_rules
from webhook.server.app import AdmissionWebhook, create_app
from webhook.server.policies import build_policies
from webhook.server.readiness import Readiness
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import Log, Metrics


class Parts:
    """Attributes: lines: What was logged."""

    def __init__(self, rules=RULES, choice=None, log_level="info"):
        self.lines = []
        self.log = Log(lambda line: self.lines.append(json.loads(line)), time.time, log_level)
        self.metrics = Metrics("0", lambda: 0.0)
        self.readiness = Readiness()
        self.policies = build_policies(parse_rules(rules, "rules.yaml"), lambda _: choice)

    @property
    def failures(self):
        return [line for line in self.lines if "traceback" in line]

    def app(self, recorder=None):
        return create_app(self.webhook(recorder))

    def webhook(self, recorder=None):
        return AdmissionWebhook(
            store=self,
            recorder=recorder or ReviewRecorder(self.log, self.metrics),
            readiness=self.readiness,
            metrics=self.metrics,
            log=self.log,
            clock=time.time,
            stopwatch=time.perf_counter,
        )
