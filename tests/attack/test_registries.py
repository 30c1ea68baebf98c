"""Registries that Pod authors name, or whose answers they choose, do no harm to other Pods."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.attack.target import (
    JSON,
    attacked,
    resident_mebibytes,
    review_of_images,
    send,
    watched,
)
from tests.tools.faults import faulty_proxy

KIND = "application/vnd.oci.image.manifest.v1+json"
DIGEST = "sha256:" + "a" * 64


@contextmanager
def mirror(answer, host="127.0.0.1"):
    """Run a registry that answers as *answer* (path → status) says; yields it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.server.asked.append(self.path)
            status = answer(self.path)
            self.send_response(status)
            self.send_header("content-type", KIND)
            self.send_header("docker-content-digest", DIGEST)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815 - the library's name

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.asked = []
    server.daemon_threads = True
    server.address = f"{host}:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def results(webhook, *images):
    """What becomes of images, by their names."""
    (response,) = send(webhook, [review_of_images(*images)])
    decisions = json.loads(response.json()["response"]["auditAnnotations"]["decisions"])
    return {decision["image"]: decision.get("result") for decision in decisions}


def test_failed_registries_of_pod_authors_do_not_switch_the_circuit_breaker_off(tmp_path, figure):
    hanging = {"now": False}

    def answer(_path):
        if hanging["now"]:
            time.sleep(30)
        return 200

    with mirror(answer) as ours:
        rules = (
            f'rules:\n  - {{match: docker.io, mirrors: ["{ours.address}/hub"]}}\n'
            f'  - {{match: "*", mirrors: ["{ours.address}/all"], original: first}}\n'
            f'availability: {{mode: check, plainHTTP: ["{ours.address}"], timeout: 800ms}}\n'
        )
        with attacked(tmp_path, rules) as webhook:
            for number in range(60):
                hosts = [f"127.9.{number}.{n}/x:1" for n in range(1, 41)]
                send(webhook, [review_of_images(*hosts)])
            hanging["now"] = True
            waits = []
            with webhook.client(timeout=30) as client:
                for number in range(40):
                    began = time.perf_counter()
                    body = review_of_images(f"team/late{number}:1")
                    client.post("/mutate", content=body, headers=JSON)
                    waits.append(time.perf_counter() - began)
            median = statistics.median(waits) * 1000
    figure("4  a hanging mirror after 2,400 failed registries: median", median, 50, "ms")


def test_images_whose_repository_fails_do_not_close_the_mirror_for_others(tmp_path):
    def answer(path):
        return 502 if "/evil/" in path else 200

    with mirror(answer) as ours:
        rules = (
            f'rules: [{{match: docker.io, mirrors: ["{ours.address}/hub"]}}]\n'
            f'availability: {{mode: check, plainHTTP: ["{ours.address}"]}}\n'
        )
        with attacked(tmp_path, rules) as webhook:
            known = "library/nginx:1.27"
            assert results(webhook, known)[known].startswith(ours.address)
            for number in range(20):
                results(webhook, *[f"evil/app{number}-{n}:1" for n in range(5)])
            for image in (known, "team/new:1", "team/other:2"):
                assert (results(webhook, image)[image] or "").startswith(ours.address), image


def test_what_is_known_to_be_at_a_mirror_is_taken_while_its_circuit_is_open(tmp_path):
    broken = {"now": False}
    with mirror(lambda _path: 503 if broken["now"] else 200) as ours:
        rules = (
            f'rules: [{{match: docker.io, mirrors: ["{ours.address}/hub"]}}]\n'
            f'availability: {{mode: check, plainHTTP: ["{ours.address}"]}}\n'
        )
        with attacked(tmp_path, rules) as webhook:
            known = "library/nginx:1.27"
            assert results(webhook, known)[known].startswith(ours.address)
            broken["now"] = True
            for number in range(10):
                results(webhook, *[f"team{number}/app{n}:1" for n in range(5)])
            assert (results(webhook, known)[known] or "").startswith(ours.address)


@contextmanager
def server(handler, host="127.0.0.1"):
    """Run a server whose handler is given each request; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            handler(self)

        do_GET = do_HEAD  # noqa: N815 - the library's name

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer((host, 0), Handler)
    http.daemon_threads = True
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"{host}:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()


def reply(request, status, **headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("content-length", "0")
    request.end_headers()


def rules_for_strangers(ours, *plain, options=""):
    """A rule that names no registry, so that Pod authors do."""
    plain = json.dumps([ours, *plain])
    return (
        f"rules: [{{regex: '127[.]0[.]0[.]2:[0-9]+/(.+)', mirrors: ['{ours}/c/\\1'],"
        " original: first}]\n"
        f"availability: {{mode: check, plainHTTP: {plain}{options}}}\n"
    )


def test_a_strangers_redirect_does_not_make_us_use_a_login(tmp_path):
    """The registry of a Pod author redirects to ours, whose login is configured."""
    seen = []

    def ours(request):
        seen.append((request.path, request.headers.get("authorization")))
        reply(request, 401, www_authenticate='Basic realm="x"')

    login = tmp_path / "config.json"
    with server(ours) as place:

        def stranger(request):
            reply(request, 307, location=f"http://{place}/v2/secret/app/manifests/1")

        with server(stranger, "127.0.0.2") as named:
            login.write_text(json.dumps({"auths": {place: {"auth": "dXNlcjpwYXNz"}}}))
            rules = rules_for_strangers(place, named, options=f", credentials: [{login}]")
            with attacked(tmp_path, rules) as webhook:
                send(webhook, [review_of_images(f"{named}/team/app:1")])

    assert any(login for path, login in seen if "/c/team" in path), "our mirror gets it"
    redirected = [login for path, login in seen if "secret" in path]
    assert redirected
    assert not any(redirected)


def test_a_strangers_challenge_does_not_make_us_ask_an_internal_host(tmp_path):
    asked = []

    def internal(request):
        asked.append(request.path)
        reply(request, 200)

    with server(internal) as place, server(lambda request: reply(request, 404)) as ours:

        def stranger(request):
            realm = f"http://{place}/delete-everything"
            reply(request, 401, www_authenticate=f'Bearer realm="{realm}",service="x"')

        with server(stranger, "127.0.0.2") as named:
            rules = rules_for_strangers(ours, named, place)
            with attacked(tmp_path, rules) as webhook:
                send(webhook, [review_of_images(f"{named}/team/app:1")])
    assert asked == []


INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
        "x": "y" * 200_000,
    }
).encode()
INDEX_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
# What a registry sends: a head, and then something else as many times as it is read. It is
# made before the attack, as this process measures how long others wait.
FLOODS = {
    "single bytes": (INDEX_HEAD, b"".join(b"1\r\n%c\r\n" % byte for byte in INDEX), 1),
    "interim responses": (b"", b"HTTP/1.1 100 \r\n\r\n" * 10_000, 100),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"a:\r\n" * 20_000 + b"\r\n", 1),
    "challenges": (
        b"HTTP/1.1 401 x\r\n",
        b'www-authenticate: Bearer realm="a",' * 2_800 + b"\r\n\r\n",
        1,
    ),
    "a head without end": (b"HTTP/1.1 200 OK\r\na: ", b"a" * 1_000_000, 100),
    "an endless document": (INDEX_HEAD, b"10000\r\n" + b"{},{}," * 10_922 + b"    \r\n", 1000),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_registry_that_floods_us_does_not_hold_the_loop(tmp_path, figure, kind):
    head, body, count = FLOODS[kind]
    is_flooding = False

    def handler(request):
        if not is_flooding:
            return reply(request, 404)
        with suppress(OSError):
            request.wfile.write(head)
            for _ in range(count):
                request.wfile.write(body)
        request.close_connection = True
        return None

    with server(handler) as address:
        rules = (
            f'rules: [{{match: docker.io, mirrors: ["{address}/hub"]}}]\n'
            f'availability: {{mode: check, plainHTTP: ["{address}"], platforms: [linux/amd64]}}\n'
        )
        with attacked(tmp_path, rules) as webhook, watched(webhook, "nginx:1") as bystander:
            is_flooding = True
            before = resident_mebibytes(webhook.process)
            for number in range(5):
                images = [f"team{number}/app{n}:1" for n in range(8)]
                send(webhook, [review_of_images(*images)])
            size = resident_mebibytes(webhook.process) - before
    figure(f"12 a registry that sends {kind}: others wait", bystander.worst, 100, "ms")
    figure(f"12 a registry that sends {kind}: growth", size, 60, "MiB")


def test_hanging_mirrors_leave_others_alone(tmp_path, figure):
    with faulty_proxy() as proxy:
        proxy.mode = "hangs"
        rules = (
            "rules:\n  - {match: docker.io, mirrors: [harbor.example.com/hub]}\n"
            "policies:\n  checked:\n"
            f'    rules: [{{match: docker.io, mirrors: ["{proxy.address}/hub"]}}]\n'
            f'    availability: {{mode: check, plainHTTP: ["{proxy.address}"]}}\n'
        )
        with attacked(tmp_path, rules) as webhook, watched(webhook) as bystander:
            send(webhook, [review_of_images("team/app:1")], "/mutate/checked")
    figure("4  a mirror that hangs: other policies wait", bystander.worst, 100, "ms")
