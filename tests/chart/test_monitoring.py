"""
Monitors, and alerts about metrics that exist.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from tests.chart.rendering import CHART, render
from webhook.telemetry import Metrics

PROMTOOL = shutil.which("promtool")


@pytest.mark.parametrize(
    ("kind", "endpoints"),
    [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")],
)
def test_a_monitor_finds_the_operations_port(kind, endpoints):
    rendered = render({"monitoring": {"kind": kind, "labels": {"release": "p"}}})
    monitor = rendered.one(kind)
    assert monitor["metadata"]["labels"]["release"] == "p"
    assert monitor["spec"][endpoints] == [
        {"port": "operations", "path": "/metrics", "interval": "30s"}
    ]
    selector = monitor["spec"]["selector"]["matchLabels"]
    pods = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= rendered.one("Service")["metadata"]["labels"].items()
    assert selector.items() <= pods.items()


def test_there_is_no_monitor_unless_asked_for():
    rendered = render()
    assert not rendered.of_kind("ServiceMonitor") + rendered.of_kind("PodMonitor")
    assert not rendered.of_kind("PrometheusRule")


def alerts():
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    (group,) = rule["spec"]["groups"]
    return [each for each in group["rules"] if "alert" in each]


def test_alerts_watch_metrics_that_exist():
    exposition, _ = Metrics("0", lambda: 0).exposition("text/plain")
    known = set(re.findall(r"^# TYPE (\S+)", exposition.decode(), re.MULTILINE))
    used = {
        name for alert in alerts() for name in re.findall(r"mirrorhook_\w+", alert["expr"])
    }
    assert len(used) >= 4
    for name in used:
        assert {name, name.removesuffix("_total")} & known, name


def test_alerts_say_what_is_wrong_and_carry_own_labels():
    found = alerts()
    assert len({alert["alert"] for alert in found}) == len(found) >= 6
    for alert in found:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["labels"]["team"] == "platform"
        assert alert["annotations"].keys() == {"summary", "description"}


def test_the_alert_on_expiry_is_as_early_as_asked_for():
    (alert,) = (
        each for each in alerts() if each["alert"] == "MirrorhookCertificateExpires"
    )
    assert alert["expr"].endswith("- time() < 12 * 3600")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not here")
def test_prometheus_understands_every_expression(tmp_path):
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", file], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
