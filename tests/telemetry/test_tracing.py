"""Traces, as a collector gets them."""

from __future__ import annotations

import gzip
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.server.process import JSON, RULES, serving
from webhook.telemetry import TracingError, open_tracing
from webhook.telemetry.tracing import ENDPOINTS, _is_requested

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@contextmanager
def collecting():
    """A collector: gives its URL and the spans that it gets."""
    spans = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    spans.extend((named["service.name"], span) for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_review_is_a_span_below_the_request_for_the_pod(tmp_path, monkeypatch):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with collecting() as (url, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with serving(rules) as webhook, webhook.client() as client:
            client.post("/mutate", content=b"{}", headers=JSON | CONTEXT)
            client.post("/mutate/none", content=b"{}", headers=JSON)
    (service, first), (_, second) = spans
    assert service == "mirrorhook"
    assert (first.name, second.name) == ("POST /mutate", "POST /mutate/{policy}")
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert second.trace_id.hex() != TRACE
    values = {each.key: each.value for each in second.attributes}
    assert values["http.response.status_code"].int_value == 404
    assert values["url.path"].string_value == "/mutate/none"


def test_missing_collector_delays_no_shutdown_and_is_logged(tmp_path, monkeypatch):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with serving(rules) as webhook:
        webhook.review(b"{}")
        began = time.monotonic()
        assert webhook.stop() == 0
        assert time.monotonic() - began < 30
    complaints = [line for line in webhook.log if "opentelemetry" in line.get("logger", "")]
    assert complaints
    assert len(webhook.said) == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        *(({name: "http://collector:4318"}, True) for name in ENDPOINTS),
        ({ENDPOINTS[0]: "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINTS[0]: "http://collector:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_tracing_follows_the_standard_variables(environment, expected):
    assert _is_requested(environment) is expected


def test_tracing_is_off_without_the_variables():
    assert open_tracing({}, "0") is None


def test_unknown_exporter_is_reported():
    with pytest.raises(TracingError, match="OTEL_TRACES_EXPORTER is 'jaeger'"):
        open_tracing({"OTEL_TRACES_EXPORTER": "jaeger"}, "0")
