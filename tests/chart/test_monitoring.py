"""Monitors, alerts and the dashboard use metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.chart.rendering import CHART, ENVIRONMENT, render
from webhook.telemetry import Metrics

PROMTOOL = shutil.which("promtool")


@pytest.mark.parametrize(
    ("kind", "endpoints"),
    [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")],
)
def test_monitor_selects_the_operations_port(kind, endpoints):
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


def test_chart_creates_no_monitor_by_default():
    rendered = render()
    assert not rendered.of_kind("ServiceMonitor") + rendered.of_kind("PodMonitor")
    assert not rendered.of_kind("PrometheusRule")


def alerts():
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    (group,) = rule["spec"]["groups"]
    return [each for each in group["rules"] if "alert" in each]


def api_server_labels(*labels):
    return {"name", "type", "operation", *labels}


API_SERVER_METRICS = {
    "apiserver_admission_webhook_fail_open_count": api_server_labels(),
    "apiserver_admission_webhook_rejection_count": api_server_labels(
        "error_type", "rejection_code"
    ),
    "apiserver_admission_webhook_admission_duration_seconds_bucket": api_server_labels(
        "rejected", "le"
    ),
    "apiserver_request_total": {
        *("verb", "resource", "subresource", "group", "version", "scope", "component"),
        *("code", "dry_run"),
    },
}
# Labels that Prometheus adds to the metrics of a Pod.
TARGET_LABELS = {"namespace", "pod"}
SELECTOR = re.compile(r"\b((?:mirrorhook|apiserver|process)_\w+)(?:\{([^}]*)\})?")


def known_metrics():
    """The labels of each metric of the webhook and of the API server."""
    registry = Metrics("0", lambda: 0)._registry
    found = dict(API_SERVER_METRICS)
    for collector, names in registry._collector_to_names.items():
        labels = {*getattr(collector, "_labelnames", ()), "le"}
        found |= dict.fromkeys(names, labels)
    found["process_resident_memory_bytes"] = set()
    return found


def dashboard():
    rendered = render(file=CHART / "ci/monitoring-values.yaml")
    (found,) = (
        each
        for each in rendered.of_kind("ConfigMap")
        if each["metadata"]["name"].endswith("-dashboard")
    )
    return found


def panels():
    ((_, text),) = dashboard()["data"].items()
    return json.loads(text)["panels"]


def queries():
    """The queries of all alerts and panels, with their variables filled in."""
    found = [(alert["alert"], alert["expr"]) for alert in alerts()]
    for panel in panels():
        found += [(panel["title"], each["expr"]) for each in panel.get("targets", ())]
    filled = {"$namespace": "mirrorhook", "$policy": ".*", "$__rate_interval": "1m"}
    for name, value in filled.items():
        found = [(title, query.replace(name, value)) for title, query in found]
    return found


def test_queries_use_existing_metrics_and_labels():
    known, used = known_metrics(), set()
    for title, query in queries():
        asked = SELECTOR.findall(query)
        for name, selected in asked:
            used.add(name)
            assert name in known, (title, name)
            bare = re.sub(r'"[^"]*"', "", selected)
            labels = set(re.findall(r"(\w+)\s*(?:=|!=)", bare))
            assert labels <= known[name] | TARGET_LABELS, (title, name)
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            groups = set(re.split(r",\s*", grouped))
            assert groups <= known[asked[0][0]] | TARGET_LABELS, (title, grouped)
    assert len([name for name in used if name.startswith("mirrorhook_")]) >= 14


def test_dashboard_has_the_label_of_grafana_and_is_optional():
    metadata = dashboard()["metadata"]
    assert metadata["labels"]["grafana_dashboard"] == "1"
    assert metadata["annotations"] == {"grafana_folder": "Webhooks"}
    assert "dashboard" not in json.dumps(render().objects)


def test_panels_do_not_overlap():
    cells = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, panel["title"]
                cells.add((x, y))


def test_alert_on_missing_reviews_can_be_disabled():
    rule = {"enabled": True, "quietHours": 0}
    rendered = render({"monitoring": {"prometheusRule": rule}}).one("PrometheusRule")
    names = {each["alert"] for each in rendered["spec"]["groups"][0]["rules"]}
    assert "MirrorhookNoReviews" not in names
    assert "MirrorhookDown" in names


def test_alerts_have_descriptions_and_the_labels_of_the_values():
    found = alerts()
    assert len({alert["alert"] for alert in found}) == len(found) >= 6
    for alert in found:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["labels"]["team"] == "platform"
        assert alert["annotations"].keys() == {"summary", "description"}


def test_alert_on_expiry_uses_the_hours_of_the_values():
    (alert,) = (each for each in alerts() if each["alert"] == "MirrorhookCertificateExpires")
    assert alert["expr"].endswith("- time() < 12 * 3600")


needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool (Debian: prometheus) is not here"
)


def promtool(*arguments):
    done = subprocess.run(
        [PROMTOOL, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_queries_are_valid_promql(tmp_path):
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    file = tmp_path / "rules.yaml"
    recorded = [
        {"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries())
    ]
    groups = [*rule["spec"]["groups"], {"name": "panels", "rules": recorded}]
    file.write_text(yaml.safe_dump({"groups": groups}))
    promtool("check", "rules", file)


STILL, GROWING = "3x480", "0+1x480"


def ours(name, **labels):
    """A series of a replica."""
    return series(f"mirrorhook_{name}", namespace="mirrorhook", pod="mirrorhook-1", **labels)


def webhook(name, **labels):
    """A series of the API server about one of our webhooks."""
    return series(f"apiserver_admission_webhook_{name}", name="mirrorhook.io", **labels)


def series(metric, /, **labels):
    written = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{metric}{{{written}}}"


def slow(bound):
    return webhook("admission_duration_seconds_bucket", type="admit", le=bound)


def probes(answer):
    return ours("probes_total", mirror="m.example", answer=answer)


def foreign(metric):
    return series(metric, name="other.example.com", namespace="other", pod="mirrorhook-1")


CREATED = series(
    "apiserver_request_total",
    verb="POST",
    resource="pods",
    subresource="",
    code="201",
    dry_run="",
)
EXPIRY = ours("certificate_expiry_timestamp_seconds")
REFUSED = ours("config_last_reload_successful")
REVIEWS = ours("review_duration_seconds_count")
RENEWED = "certificate_reloads_total"
FAIL_OPEN, REJECTED = "fail_open_count", "rejection_count"
# The alert, the samples of each minute, and whether it fires after some hours.
CASES = [
    ("Down", {ours("build_info"): "1x480"}, False),
    ("Down", {foreign("mirrorhook_build_info"): "1x480"}, True),
    ("RulesRefused", {REFUSED: "1x480"}, False),
    ("RulesRefused", {REFUSED: "0x480"}, True),
    ("CertificateExpires", {EXPIRY: "90000x480"}, False),
    ("CertificateExpires", {EXPIRY: "45000x480"}, True),
    ("CertificateRefused", {ours(RENEWED, result="success"): GROWING}, False),
    ("CertificateRefused", {ours(RENEWED, result="failure"): GROWING}, True),
    ("Errors", {ours("errors_total"): STILL}, False),
    ("Errors", {ours("errors_total"): GROWING}, True),
    ("Loop", {ours("loops_total"): STILL}, False),
    ("Loop", {ours("loops_total"): GROWING}, True),
    ("RegistryDown", {ours("registries_down"): "0x480"}, False),
    ("RegistryDown", {ours("registries_down"): "1x480"}, True),
    ("ProbesFail", {probes("absent"): "0+9x480", probes("timeout"): GROWING}, False),
    ("ProbesFail", {probes("present"): GROWING, probes("timeout"): "0+9x480"}, True),
    ("Slow", {slow("0.1"): "0+100x480", slow("+Inf"): "0+100x480"}, False),
    (
        "Slow",
        {slow("0.1"): GROWING, slow("2.5"): "0+99x480", slow("+Inf"): "0+99x480"},
        True,
    ),
    ("FailsOpen", {webhook(FAIL_OPEN): STILL}, False),
    ("FailsOpen", {foreign(f"apiserver_admission_webhook_{FAIL_OPEN}"): GROWING}, False),
    ("FailsOpen", {webhook(FAIL_OPEN): GROWING}, True),
    ("Rejects", {webhook(REJECTED, error_type="no_error"): GROWING}, False),
    ("Rejects", {webhook(REJECTED, error_type="calling_webhook_error"): GROWING}, True),
    ("NoReviews", {REVIEWS: GROWING, CREATED: GROWING}, False),
    ("NoReviews", {REVIEWS: STILL, CREATED: STILL}, False),
    ("NoReviews", {REVIEWS: STILL, CREATED: GROWING}, True),
]


@needs_promtool
def test_alerts_fire_only_when_they_should(tmp_path):
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    cases = []
    for alert, seen, fires in CASES:
        firing = f'count(ALERTS{{alertname="Mirrorhook{alert}", alertstate="firing"}})'
        hours = "8h" if alert == "NoReviews" else "2h"  # quietHours is 6
        samples = [{"labels": "{}", "value": 1}] if fires else []
        cases.append(
            {
                "name": f"{alert} {'fires' if fires else 'is quiet'}",
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in seen.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": hours, "exp_samples": samples}],
            }
        )
    file = tmp_path / "tests.yaml"
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": cases}
    file.write_text(yaml.safe_dump(content))
    promtool("test", "rules", file)


def test_alerts_have_firing_and_quiet_cases():
    assert {(f"Mirrorhook{name}", fires) for name, _, fires in CASES} == {
        (alert["alert"], fires) for alert in alerts() for fires in (True, False)
    }
