"""The Grafana dashboard of the chart, made of a table of panels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

OURS = 'namespace="$namespace"'
POLICY = f'{OURS}, policy=~"$policy"'
SERVER = 'name=~"(.+\\\\.)?mirrorhook\\\\.io"'
FAILURES = 'answer=~"limited|failed|timeout|unreachable|untrusted|down|unauthorized"'
REFUSED = 'result="failure"'
EXPIRY = "mirrorhook_certificate_expiry_timestamp_seconds"
CHANGES = "mirrorhook_certificate_reloads_total"
RELOADS = "mirrorhook_config_reloads_total"
USABLE = "mirrorhook_config_last_reload_successful"
LOADED = "mirrorhook_config_last_reload_success_timestamp_seconds"
RATE = "$__rate_interval"
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
MEMORY = (
    f"process_resident_memory_bytes{{{OURS}}} and on (namespace, pod) "
    f"mirrorhook_build_info{{{OURS}}}"
)
WIDTH, COLUMNS = 24, {"stat": 4, "timeseries": 12}
HEIGHTS = {"stat": 4, "timeseries": 8, "row": 1}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: Its title.
        unit: The unit, as Grafana calls it.
        queries: PromQL with the legend of each.
        about: What it shows, and where to look further.
        kind: ``timeseries`` or ``stat``.
        limits: Values from which on a stat is yellow, and red.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""
    kind: str = "timeseries"
    limits: tuple[float | None, float | None] = (None, None)


def rate(metric: str, labels: str, by: str) -> str:
    """Return the rate of a counter."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[{RATE}]))"


def quantile(share: float, metric: str, labels: str, by: str = "le") -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', labels, by)})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "State": (
        Panel(
            "Replicas",
            "none",
            ((f"count(mirrorhook_build_info{{{OURS}}})", ""),),
            kind="stat",
        ),
        Panel(
            "Since the last review",
            "s",
            ((f"time() - max(mirrorhook_last_review_timestamp_seconds{{{OURS}}})", ""),),
            "A long time means that the API server does not ask, or that no Pods are made.",
            kind="stat",
            limits=(3600, 6 * 3600),
        ),
        Panel(
            "Certificate, time left",
            "s",
            ((f"min({EXPIRY}{{{OURS}}}) - time()", ""),),
            kind="stat",
        ),
        Panel(
            "Replicas that refused the rules",
            "none",
            (
                (
                    f"count({USABLE}{{{OURS}}} == 0) or vector(0)",
                    "",
                ),
            ),
            "They go on with the rules before; their log says what is wrong.",
            kind="stat",
            limits=(None, 1),
        ),
        Panel(
            "Registries left alone",
            "none",
            ((f"max(mirrorhook_registries_down{{{OURS}}})", ""),),
            "They failed time and again; the console and the log say which, and why.",
            kind="stat",
            limits=(1, None),
        ),
        Panel(
            "Rules taken up",
            "dateTimeFromNow",
            ((f"max({LOADED}{{{OURS}}}) * 1000", ""),),
            kind="stat",
        ),
    ),
    "Images": (
        Panel(
            "Images by outcome",
            "ops",
            ((rate("mirrorhook_images_total", POLICY, "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Rewrites by rule",
            "ops",
            (
                (
                    rate(
                        "mirrorhook_images_total",
                        f'{POLICY}, outcome=~"rewritten|unconfirmed"',
                        "policy, rule",
                    ),
                    "{{policy}}: {{rule}}",
                ),
            ),
        ),
        Panel(
            "Reviews by policy and result",
            "ops",
            (
                (
                    rate("mirrorhook_reviews_total", POLICY, "policy, result"),
                    "{{policy}}: {{result}}",
                ),
            ),
            "Each policy is what some namespaces chose by their label, or were listed for.",
        ),
        Panel(
            "In doubt, by rule",
            "ops",
            (
                (
                    rate(
                        "mirrorhook_images_total",
                        f'{POLICY}, outcome=~"invalid|unavailable|unconfirmed|looping"',
                        "rule, outcome",
                    ),
                    "{{outcome}}: {{rule}}",
                ),
            ),
            "The warnings of kubectl, the log and the console say why.",
        ),
    ),
    "Latency": (
        Panel(
            "Time of a review",
            "s",
            tuple(
                (quantile(share, "mirrorhook_review_duration_seconds", OURS), name)
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
        ),
        Panel(
            "Time that the API server waits",
            "s",
            (
                (
                    quantile(
                        0.99,
                        "apiserver_admission_webhook_admission_duration_seconds",
                        f'{SERVER}, type="admit"',
                        "name, le",
                    ),
                    "p99 {{name}}",
                ),
            ),
        ),
    ),
    "The API server": (
        Panel(
            "Pods admitted without an answer",
            "ops",
            (
                (
                    rate("apiserver_admission_webhook_fail_open_count", SERVER, "name"),
                    "{{name}}",
                ),
            ),
            "Under failurePolicy Ignore these have the images that were asked for.",
        ),
        Panel(
            "Pods refused",
            "ops",
            (
                (
                    rate(
                        "apiserver_admission_webhook_rejection_count",
                        SERVER,
                        "name, error_type",
                    ),
                    "{{name}}: {{error_type}}",
                ),
            ),
        ),
        Panel(
            "Requests refused by mirrorhook",
            "ops",
            ((rate("mirrorhook_requests_refused_total", OURS, "code"), "{{code}}"),),
        ),
        Panel(
            "Pods created, and reviews",
            "ops",
            (
                (
                    rate(
                        "apiserver_request_total",
                        'verb="POST", resource="pods", subresource="", code="201"',
                        "resource",
                    ),
                    "Pods created in the cluster",
                ),
                (
                    f"sum(rate(mirrorhook_review_duration_seconds_count{{{OURS}}}[{RATE}]))",
                    "reviews",
                ),
            ),
            "Pods without reviews: not selected, or the webhook is not reached.",
        ),
    ),
    "Mirrors": (
        Panel(
            "Answers of mirrors",
            "ops",
            ((rate("mirrorhook_probes_total", OURS, "answer"), "{{answer}}"),),
        ),
        Panel(
            "Failures by mirror",
            "ops",
            (
                (
                    rate("mirrorhook_probes_total", f"{OURS}, {FAILURES}", "mirror, answer"),
                    "{{mirror}}: {{answer}}",
                ),
            ),
        ),
        Panel(
            "Time of an answer",
            "s",
            tuple(
                (quantile(share, "mirrorhook_probe_duration_seconds", OURS), name)
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
        ),
    ),
    "The process": (
        Panel(
            "Errors, failed reloads and loops",
            "ops",
            (
                (
                    f"sum(rate(mirrorhook_errors_total{{{OURS}}}[{RATE}]))",
                    "internal errors",
                ),
                (
                    f"sum(rate({RELOADS}{{{OURS}, {REFUSED}}}[{RATE}]))",
                    "rules refused",
                ),
                (f"sum(rate(mirrorhook_loops_total{{{OURS}}}[{RATE}]))", "loops"),
                (
                    f"sum(rate({CHANGES}{{{OURS}, {REFUSED}}}[{RATE}]))",
                    "certificates refused",
                ),
                (
                    f"sum(rate(mirrorhook_log_lines_dropped{{{OURS}}}[{RATE}]))",
                    "log lines dropped",
                ),
            ),
        ),
        Panel(
            "Memory",
            "bytes",
            ((MEMORY, "{{pod}}"),),
        ),
    ),
}


def content() -> str:
    """Return the dashboard as JSON."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(placed({"title": title, "type": "row", "panels": []}, 0, y, WIDTH))
        y, x, height = y + 1, 0, 0
        for panel in row:
            width = COLUMNS[panel.kind]
            if x + width > WIDTH:
                x, y = 0, y + height
            height = HEIGHTS[panel.kind]
            panels.append(placed(drawn(panel), x, y, width))
            x += width
        y += height
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    dashboard = {
        "title": "mirrorhook",
        "uid": "mirrorhook",
        "tags": ["mirrorhook", "admission-webhook"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables()},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


def variables() -> list[dict[str, Any]]:
    """Return what can be chosen: the data source, the namespace of a release, policies."""
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
        },
        asked("namespace", "Release in", "label_values(mirrorhook_build_info, namespace)"),
        {
            **asked(
                "policy",
                "Policy",
                f"label_values(mirrorhook_reviews_total{{{OURS}}}, policy)",
            ),
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def asked(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a variable whose values Prometheus knows."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": query,
        "refresh": 2,
        "sort": 1,
    }


def placed(panel: dict[str, Any], x: int, y: int, width: int) -> dict[str, Any]:
    """Return a panel with its place."""
    height = HEIGHTS[panel["type"]]
    return {**panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def drawn(panel: Panel) -> dict[str, Any]:
    """Return a panel as Grafana has it."""
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.kind == "stat":
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        for colour, limit in zip(("yellow", "red"), panel.limits, strict=True):
            if limit is not None:
                steps.append({"color": colour, "value": limit})
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    else:
        defaults |= {"min": 0, "custom": {"fillOpacity": 10}}
    return {
        "title": panel.title,
        "description": panel.about,
        "type": panel.kind,
        "datasource": PROMETHEUS,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": PROMETHEUS,
                "expr": query,
                "legendFormat": legend or "__auto",
            }
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }
