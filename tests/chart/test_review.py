"""The script that `helm test` runs in a Pod, tested against real servers."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from tests.chart.rendering import CHART, render

CA = trustme.CA()
PATCH = base64.b64encode(b"[]").decode()


class Webhook(BaseHTTPRequestHandler):
    """Chooses its answer by the path of the request."""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        answers = {
            "/mutate": {"patch": PATCH, "patchType": "JSONPatch"},
            "/mutate/keeps": {},
            "/mutate/stranger": {"uid": "another"},
            "/mutate/refuses": {"allowed": False},
        }
        answer = answers.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        response = {"uid": request["uid"], "allowed": True, **(answer or {})}
        self.wfile.write(json.dumps({**review, "response": response}).encode())

    def log_message(self, *_):
        """Log nothing."""


@contextmanager
def serving(**changes):
    """Serve with a TLS context that has these attributes, and yield the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", "image-hook.shop.svc").configure_cert(context)
    for name, value in changes.items():
        setattr(context, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def address():
    with serving() as url:
        yield url


def run(*urls, ca=CA, **environment):
    """Run the script like the Pod does."""
    (container,) = render().one("Pod")["spec"]["containers"]
    assert container["command"] == ["python3", "-c"]
    bundle = ca and ca.cert_pem.bytes().decode()
    return subprocess.run(
        [sys.executable, "-c", container["args"][0], *urls],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env={**os.environ, "CA_BUNDLE": bundle or "", **environment},
    )


def test_script_reports_what_each_policy_does(address):
    done = run(f"{address}/mutate", f"{address}/mutate/keeps")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{address}/mutate rewrites registry.k8s.io/pause:3.10",
        f"{address}/mutate/keeps keeps registry.k8s.io/pause:3.10",
    ]


def test_script_reaches_the_service_without_dns(address):
    port = address.rpartition(":")[2]
    url = f"https://image-hook.shop.svc:{port}/mutate"
    done = run(url, IMAGE_HOOK_SERVICE_HOST="127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{url} rewrites registry.k8s.io/pause:3.10\n"
    assert render().one("Pod")["spec"]["enableServiceLinks"] is True


@pytest.mark.parametrize("path", ["stranger", "refuses"])
def test_script_fails_on_a_wrong_answer(address, path):
    done = run(f"{address}/mutate/{path}")
    assert done.returncode == 1
    assert "gave a wrong answer" in done.stderr


def test_script_fails_with_a_message_without_an_answer(address):
    for url in (f"{address}/mutate/unknown", "https://127.0.0.1:1/mutate"):
        done = run(url)
        assert done.returncode == 1
        assert done.stderr.startswith(f"{url} did not answer: ")
        assert "Traceback" not in done.stderr


def test_script_does_not_trust_another_ca(address):
    done = run(f"{address}/mutate", ca=trustme.CA())
    assert done.returncode == 1
    assert "certificate verify failed" in done.stderr


def test_script_reports_that_it_could_not_verify_the_certificate(address):
    done = run(f"{address}/mutate", ca=None)
    assert done.returncode == 0, done.stderr
    assert "the certificate was not verified" in done.stdout


def test_script_accepts_that_only_the_api_server_has_a_client_certificate():
    with serving(verify_mode=ssl.CERT_REQUIRED) as url:
        done = run(f"{url}/mutate", CLIENTS_NEED_A_CERTIFICATE="true")
    assert done.returncode == 0, done.stderr
    assert "needs a client certificate, which only the API server has" in done.stdout


def test_script_fails_if_a_client_certificate_is_not_asked_for(address):
    done = run(f"{address}/mutate", CLIENTS_NEED_A_CERTIFICATE="true")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{address}/mutate did not answer")


def test_pod_knows_whether_clients_need_a_certificate():
    for values, wanted in (("client-certificates", True), ("existing-secret", False)):
        rendered = render(file=CHART / f"ci/{values}-values.yaml")
        (container,) = rendered.one("Pod")["spec"]["containers"]
        names = {each["name"] for each in container.get("env", ())}
        assert ("CLIENTS_NEED_A_CERTIFICATE" in names) is wanted


def test_pod_sends_reviews_for_every_policy_through_the_service():
    rendered = render(file=CHART / "ci/policies-values.yaml")
    (container,) = rendered.one("Pod")["spec"]["containers"]
    assert container["args"][1:] == [
        "https://mirrorhook.mirrorhook.svc/mutate",
        "https://mirrorhook.mirrorhook.svc/mutate/edge",
        "https://mirrorhook.mirrorhook.svc/mutate/team-a",
    ]


def test_pod_does_not_mount_the_key_of_the_ca():
    (volume,) = render().one("Pod")["spec"]["volumes"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
