"""The Grafana dashboard of the chart, generated from a table of panels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

OURS = 'namespace="$namespace"'
POLICY = f'{OURS}, policy=~"$policy"'
SERVER = 'name=~"(.+\\\\.)?mirrorhook\\\\.io"'
FAILURES = 'answer=~"limited|failed|timeout|unknown-host|unreachable|untrusted|down|unauthorized"'
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
        unit: The unit, in Grafana's notation.
        queries: Pairs of a PromQL query and its legend.
        about: What the panel shows, and where to find more.
        kind: ``timeseries`` or ``stat``.
        limits: Values from which a stat is yellow, and red.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""
    kind: str = "timeseries"
    limits: tuple[float | None, float | None] = (None, None)


def _rate(metric: str, labels: str, by: str) -> str:
    """Return the query for the rate of a counter."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[{RATE}]))"


def _quantile(share: float, metric: str, labels: str, by: str = "le") -> str:
    """Return the query for a quantile of a histogram."""
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', labels, by)})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "State": (
        Panel(
            "Replicas",
            "none",
            ((f"count(mirrorhook_build_info{{{OURS}}})", ""),),
            kind="stat",
        ),
        Panel(
            "Time since the last review",
            "s",
            ((f"time() - max(mirrorhook_last_review_timestamp_seconds{{{OURS}}})", ""),),
            "If it is long, the API server does not call the webhook, or no Pods are created.",
            kind="stat",
            limits=(3600, 6 * 3600),
        ),
        Panel(
            "Time until the certificate expires",
            "s",
            ((f"min({EXPIRY}{{{OURS}}}) - time()", ""),),
            kind="stat",
        ),
        Panel(
            "Replicas that rejected the rules",
            "none",
            (
                (
                    f"count({USABLE}{{{OURS}}} == 0) or vector(0)",
                    "",
                ),
            ),
            "They use the previous rules, or none and are not ready; see their log for the errors.",
            kind="stat",
            limits=(None, 1),
        ),
        Panel(
            "Registries down",
            "none",
            ((f"max(mirrorhook_registries_down{{{OURS}}})", ""),),
            "They failed repeatedly; see the console or the log for their names and the reasons.",
            kind="stat",
            limits=(1, None),
        ),
        Panel(
            "Rules loaded",
            "dateTimeFromNow",
            ((f"max({LOADED}{{{OURS}}}) * 1000", ""),),
            kind="stat",
        ),
    ),
    "Images": (
        Panel(
            "Images by outcome",
            "ops",
            ((_rate("mirrorhook_images_total", POLICY, "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Rewrites by rule",
            "ops",
            (
                (
                    _rate(
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
                    _rate("mirrorhook_reviews_total", POLICY, "policy, result"),
                    "{{policy}}: {{result}}",
                ),
            ),
            "A policy applies to the namespaces that it selects by label or by name.",
        ),
        Panel(
            "Problems by rule",
            "ops",
            (
                (
                    _rate(
                        "mirrorhook_images_total",
                        f'{POLICY}, outcome=~"invalid|unavailable|unconfirmed|looping"',
                        "rule, outcome",
                    ),
                    "{{outcome}}: {{rule}}",
                ),
            ),
            "See the warnings of kubectl, the log or the console for the reasons.",
        ),
    ),
    "Latency": (
        Panel(
            "Review duration",
            "s",
            tuple(
                (_quantile(share, "mirrorhook_review_duration_seconds", OURS), name)
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
        ),
        Panel(
            "Latency seen by the API server",
            "s",
            (
                (
                    _quantile(
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
    "API server": (
        Panel(
            "Pods admitted without an answer",
            "ops",
            (
                (
                    _rate("apiserver_admission_webhook_fail_open_count", SERVER, "name"),
                    "{{name}}",
                ),
            ),
            "Under failurePolicy Ignore, these Pods have their original images.",
        ),
        Panel(
            "Pods refused",
            "ops",
            (
                (
                    _rate(
                        "apiserver_admission_webhook_rejection_count",
                        SERVER,
                        "name, error_type",
                    ),
                    "{{name}}: {{error_type}}",
                ),
            ),
        ),
        Panel(
            "Requests rejected by mirrorhook",
            "ops",
            ((_rate("mirrorhook_requests_refused_total", OURS, "code"), "{{code}}"),),
        ),
        Panel(
            "Pods created and reviews",
            "ops",
            (
                (
                    _rate(
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
            "Pods without a review are not selected, or the webhook cannot be reached.",
        ),
    ),
    "Mirrors": (
        Panel(
            "Image checks by answer",
            "ops",
            ((_rate("mirrorhook_probes_total", OURS, "answer"), "{{answer}}"),),
        ),
        Panel(
            "Failed image checks by mirror",
            "ops",
            (
                (
                    _rate("mirrorhook_probes_total", f"{OURS}, {FAILURES}", "mirror, answer"),
                    "{{mirror}}: {{answer}}",
                ),
            ),
        ),
        Panel(
            "Image check duration",
            "s",
            tuple(
                (_quantile(share, "mirrorhook_probe_duration_seconds", OURS), name)
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
        ),
    ),
    "Process": (
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
                    "rules rejected",
                ),
                (f"sum(rate(mirrorhook_loops_total{{{OURS}}}[{RATE}]))", "loops"),
                (
                    f"sum(rate({CHANGES}{{{OURS}, {REFUSED}}}[{RATE}]))",
                    "certificates rejected",
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


def generate() -> str:
    """Return the dashboard as JSON."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(_position({"title": title, "type": "row", "panels": []}, 0, y, WIDTH))
        y, x, height = y + 1, 0, 0
        for panel in row:
            width = COLUMNS[panel.kind]
            if x + width > WIDTH:
                x, y = 0, y + height
            height = HEIGHTS[panel.kind]
            panels.append(_position(_to_grafana(panel), x, y, width))
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
        "templating": {"list": _variables()},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _variables() -> list[dict[str, Any]]:
    """Return the variables: the data source, the namespace of a release, and policies."""
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
        },
        _query_variable(
            "namespace", "Release namespace", "label_values(mirrorhook_build_info, namespace)"
        ),
        {
            **_query_variable(
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


def _query_variable(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a variable whose values come from Prometheus."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": query,
        "refresh": 2,
        "sort": 1,
    }


def _position(panel: dict[str, Any], x: int, y: int, width: int) -> dict[str, Any]:
    """Return a panel with its position."""
    height = HEIGHTS[panel["type"]]
    return {**panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _to_grafana(panel: Panel) -> dict[str, Any]:
    """Return a panel in Grafana's format."""
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
