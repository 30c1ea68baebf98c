"""Every query of the dashboard, run on a real Prometheus that scrapes a real webhook."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.chart.test_monitoring import queries
from tests.server.conftest import review_of
from tests.server.process import RULES, serving, until
from tests.tools.prometheus import PROMETHEUS, ask, scraping

# There is no API server, and no mirror is checked.
MISSING_METRICS = ("apiserver_", "mirrorhook_probe")

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="Prometheus (Debian: prometheus) is not here"
)


@pytest.fixture
def prometheus(tmp_path):
    """A webhook, and a Prometheus that scrapes it."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with serving(rules) as webhook:
        target = {
            "targets": [httpx.URL(webhook.operations).netloc.decode()],
            "labels": {"namespace": "mirrorhook", "pod": "mirrorhook-1"},
        }
        job = {"job_name": "mirrorhook", "static_configs": [target]}
        with scraping(tmp_path, job) as address:
            yield webhook, address


def test_panels_show_metrics_of_a_real_webhook(prometheus):
    webhook, address = prometheus
    for image in ("nginx", "quay.io/a/b", "Not An Image"):
        webhook.review(review_of(image))
    webhook.review(b"{")
    until(lambda: ask(address, "mirrorhook_images_total"), "the first scrape")
    time.sleep(3)
    empty = [
        title
        for title, query in queries()
        if not title.startswith("Mirrorhook")
        and not any(part in query for part in MISSING_METRICS)
        and not ask(address, query)
    ]
    assert empty == []
