"""Every query of the dashboard, run on a real Prometheus that scrapes a real webhook."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time

import httpx
import pytest
import yaml

from tests.chart.test_monitoring import queries
from tests.server.conftest import review_of
from tests.server.process import RULES, serving, until
from tests.tools import loopback

PROMETHEUS = shutil.which("prometheus")
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
        settings = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "mirrorhook", "static_configs": [target]}],
        }
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [PROMETHEUS, f"--config.file={tmp_path / 'prometheus.yaml'}"]
        command += [f"--storage.tsdb.path={tmp_path / 'data'}"]
        command += [f"--web.listen-address={address}"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                yield webhook, f"http://{address}"
            finally:
                process.terminate()


def ask(address, query):
    try:
        answer = loopback.get(f"{address}/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return answer.json().get("data", {}).get("result", []) if answer.is_success else []


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
