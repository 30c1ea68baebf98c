"""Reading a cluster, over a real connection."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from webhook.kube import ClusterError, ForbiddenError, NotFoundError, UnavailableError, open_client

POD = {"kind": "Pod"}
ANSWERS = {
    "/version": (200, {"gitVersion": "v1.37.2"}),
    "/a": (200, {"metadata": {"name": "a"}}),
    "/some": (200, {"items": [{"metadata": {"name": "x"}}]}),
    "/some?labelSelector=a%3Db": (200, {"items": []}),
    "/api/v1/namespaces/n/pods/p:8080/proxy/readyz": (503, "certificate: none\n"),
    "/api/v1/namespaces/n/pods?dryRun=All": (201, POD),
    "/forbidden": (403, {"message": "you may not"}),
    "/metrics": (200, "a 1\nb 2\n"),
    "/log?tailLines=1": (200, "the last line\n"),
    "/pages?limit=500": (200, {"items": [{"n": 1}], "metadata": {"continue": "old"}}),
    "/pages?limit=500&continue=old": (410, {"message": "too old", "metadata": {"continue": "new"}}),
    "/pages?limit=500&continue=new": (200, {"items": [{"n": 2}], "metadata": {}}),
    "/gone?limit=500": (410, {"message": "too old"}),
    "/apis/authorization.k8s.io/v1/subjectaccessreviews": (201, {"status": {"allowed": True}}),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content = ANSWERS.get(self.path, (404, {"message": "not found"}))
        text = content if isinstance(content, str) else json.dumps(content)
        data = text.encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response_only(status)
        late = datetime.now(UTC) - timedelta(seconds=100)
        self.send_header("Date", format_datetime(late, usegmt=True))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def reader(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
    content = {
        "current-context": "t",
        "clusters": [{"name": "t", "cluster": cluster}],
        "users": [{"name": "t", "user": {}}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(content))
    yield open_client(tmp_path / "kubeconfig")
    server.shutdown()
    thread.join()
    server.server_close()


def test_get_returns_an_object_or_none(reader):
    assert reader.host.startswith("http://127.0.0.1:")
    assert reader.get("/a") == {"metadata": {"name": "a"}}
    assert reader.get("/nothing") is None


def test_list_uses_the_selector(reader):
    assert reader.list("/some") == [{"metadata": {"name": "x"}}]
    assert reader.list("/some", "a=b") == []
    assert reader.list("/nothing") == []
    assert reader.list("/a") == []


def test_list_goes_on_when_the_version_of_its_first_page_is_forgotten(reader):
    assert [*reader.iterate("/pages")] == [{"n": 1}, {"n": 2}]


def test_list_that_cannot_go_on_raises_an_error(reader):
    with pytest.raises(UnavailableError, match="too old"):
        [*reader.iterate("/gone")]


def test_clock_skew_is_measured(reader):
    assert reader.measure_clock_skew() == pytest.approx(100, abs=5)


def test_pod_page_is_read_whatever_its_status(reader):
    assert reader.get_pod_page("n", "p", 8080, "/readyz") == (503, "certificate: none\n")


def test_pod_is_created_in_a_dry_run(reader):
    assert reader.dry_run_pod("n", {}) == POD
    with pytest.raises(NotFoundError, match="create a Pod in namespace other"):
        reader.dry_run_pod("other", {})


def test_text_is_read_as_it_is(reader):
    assert reader.get_text("/metrics") == "a 1\nb 2\n"
    assert reader.get_text("/log", {"tailLines": "1"}) == "the last line\n"
    with pytest.raises(ForbiddenError, match="cannot get /forbidden: you may not"):
        reader.get_text("/forbidden")


def test_permission_of_another_user_is_asked_for(reader):
    assert reader.is_allowed("system:serviceaccount:a:b", "patch", "webhooks", "group", "name")


@pytest.mark.parametrize(
    ("context", "namespace"), [(None, "shop"), ("t", "shop"), ("other", "default")]
)
def test_context_gives_the_namespace_of_what_is_named_without_one(tmp_path, context, namespace):
    names = {"cluster": "t", "user": "t"}
    content = {
        "current-context": "t",
        "clusters": [{"name": "t", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "t", "user": {}}],
        "contexts": [
            {"name": "t", "context": {**names, "namespace": "shop"}},
            {"name": "other", "context": names},
        ],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(content))
    assert open_client(tmp_path / "kubeconfig", context).namespace == namespace


def test_get_without_permission_raises_an_error(reader):
    with pytest.raises(ClusterError, match="you may not"):
        reader.get("/forbidden")


def test_certificate_of_an_unreachable_pod_raises_an_error(reader):
    with pytest.raises(UnavailableError, match="cannot reach port 8443 of Pod n/p"):
        reader.get_pod_certificate("n", "p", 8443, "x", b"")


def test_open_client_without_a_kubeconfig_raises_an_error(tmp_path):
    with pytest.raises(ClusterError):
        open_client(tmp_path / "nothing")
