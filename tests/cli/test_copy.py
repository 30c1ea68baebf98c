"""Which images are copied, with which logins, and what is told."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import trustme

from tests.registry.fake_http import secret
from tests.tools import registry as registries
from tests.tools.faults import faulty_proxy
from tests.tools.registry import push_image, registry
from tests.tools.terminal import run_in_terminal
from tests.transfer.world import World, manifest_at

pytestmark = pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry")

PASSWORD = "s3cr3t-p4ss"
HTPASSWD = "robot:$2b$04$abcdefghijklmnopqrstuuzaite.WmwcP4x1HNwW4SZHGx9urgD4C\n"
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("upstream")) as address:
        for name in NAMES:
            push_image(address, f"team/{name}:1", content=name)
        yield address


@pytest.fixture
def world(tmp_path, upstream):
    with registry(tmp_path) as mirror:
        yield World(tmp_path, upstream, mirror)


def there(world):
    """Which of the images the mirror has."""
    return [name for name in NAMES if manifest_at(world.mirror, f"m/team/{name}", "1")[1]]


def manifest_of(*containers):
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [*containers]}})


def test_a_list_comes_from_standard_input_and_repeats_are_copied_once(world):
    image = f"{world.upstream}/team/a"
    result = world.run("=team/b:1", "-", stdin=f"# list\n{image}:1\n{image}:1\n")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert there(world) == ["a", "b"]


def test_images_come_from_manifests(world, tmp_path):
    folder = tmp_path / "deploy"
    folder.mkdir()
    image = f"{world.upstream}/team/"
    (folder / "a.json").write_text(
        manifest_of(
            {"name": "a", "image": f"{image}a:1"},
            {"name": "b", "image": f"{image}b:1", "imagePullPolicy": "Never"},
        )
    )
    (folder / "bad.yaml").write_text("image: [")

    result = world.run("--manifests", folder)

    assert result.exit_code == 1
    assert "bad.yaml:1: " in result.stderr
    assert there(world) == ["a"]


class Api(BaseHTTPRequestHandler):
    """An API server that has nothing but Pods."""

    pods: list = []  # noqa: RUF012 - each test has its own subclass

    def do_GET(self):
        is_known = self.path == "/api/v1/pods"
        data = json.dumps({"items": self.pods} if is_known else {}).encode()
        self.send_response_only(200 if is_known else 403)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_images_come_from_pods_as_they_were_before_they_were_rewritten(world, tmp_path):
    image = f"{world.upstream}/team/"
    noted = {"web": f"{image}a:1"}
    pods = [
        {
            "metadata": {"annotations": {"mirrorhook.io/original-images": json.dumps(noted)}},
            "spec": {
                "containers": [{"name": "web", "image": f"{world.mirror}/m/team/a:1"}],
                "initContainers": [{"name": "init", "image": f"{image}b:1"}],
            },
        },
        {"metadata": {"annotations": {"mirrorhook.io/original-images": "{"}}, "spec": {}},
        {
            "spec": {
                "containers": [{"name": "x", "image": f"{image}c:1", "imagePullPolicy": "Never"}]
            }
        },
    ]
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Pods", (Api,), {"pods": pods}))
    Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "t",
                "clusters": [{"name": "t", "cluster": cluster}],
                "users": [{"name": "t", "user": {}}],
                "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            }
        )
    )
    try:
        result = world.run("--cluster", "--kubeconfig", kubeconfig)
    finally:
        server.shutdown()
        server.server_close()

    assert (result.exit_code, result.stderr) == (0, "")
    assert there(world) == ["a", "b"]


def test_a_cluster_that_cannot_be_read_is_told(world, tmp_path):
    result = world.run("--cluster", "--kubeconfig", tmp_path / "none")

    assert result.exit_code == 2
    assert "give --kubeconfig FILE of a cluster whose Pods you may list" in result.stderr


def test_a_login_goes_to_its_own_host_alone(tmp_path):
    blobs = tmp_path / "blobs"
    file = tmp_path / "config.json"
    with (
        registry(tmp_path, blobs=blobs) as open_one,
        registry(tmp_path, blobs=blobs, passwords=HTPASSWD) as locked,
        registry(tmp_path, passwords=HTPASSWD) as mirror,
        faulty_proxy(locked) as from_proxy,
        faulty_proxy(mirror) as to_proxy,
    ):
        push_image(open_one, "team/a:1")
        world = World(tmp_path, from_proxy.address, to_proxy.address)
        file.write_bytes(secret((from_proxy.address, "robot", PASSWORD)))
        without = world.run("=team/a:1")
        half = world.run("=team/a:1", "--credentials", file)
        heads = b"".join(to_proxy.heads).lower()
        file.write_bytes(
            secret(*((each, "robot", PASSWORD) for each in (world.upstream, world.mirror)))
        )
        whole = world.run("=team/a:1", "--credentials", file)

    assert (without.exit_code, half.exit_code, whole.exit_code) == (1, 1, 0)
    assert f"{world.upstream} requires authentication" in without.stderr
    assert "name a file with its login by --credentials" in without.stderr
    assert f"{world.mirror} requires authentication" in half.stderr
    assert heads
    assert b"authorization" not in heads
    for result in (without, half, whole):
        assert PASSWORD not in result.output


def test_a_mirror_over_tls_is_trusted_by_its_own_ca_alone(tmp_path, upstream):
    authority, stranger = trustme.CA(), trustme.CA()
    blobs = tmp_path / "blobs"
    for name, each in (("ca.pem", authority), ("stranger.pem", stranger)):
        each.cert_pem.write_to_path(str(tmp_path / name))
    pair = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    with (
        registry(tmp_path, blobs=blobs, certificate=pair) as mirror,
        registry(tmp_path, blobs=blobs) as beside,
    ):
        world = World(tmp_path, upstream, mirror, plain=[upstream])
        without = world.run("=team/a:1")
        wrong = world.run("=team/a:1", "--ca", f"{mirror}={tmp_path / 'stranger.pem'}")
        before = manifest_at(beside, "m/team/a", "1")
        trusted = world.run("=team/a:1", "--ca", f"{mirror}={tmp_path / 'ca.pem'}")
        again = world.run("=team/a:1", "--ca", f"{mirror}={tmp_path / 'ca.pem'}")
        after = manifest_at(beside, "m/team/a", "1")

    for refused in (without, wrong):
        assert refused.exit_code == 1
        assert f"{mirror} has a certificate that is not trusted: name" in refused.stderr
    assert before == (None, "")
    assert (trusted.exit_code, trusted.stderr) == (0, "")
    assert after[1] == manifest_at(upstream, "team/a", "1")[1]
    assert again.stdout.startswith("  present ")


def test_json_has_the_promised_keys(world):
    image = f"{world.upstream}/team/a:1"
    first, second, third = world.json("=team/a:1", "quay.io/a/b:1", "BAD")

    assert first == {
        "image": image,
        "status": "copied",
        "upstream": image,
        "target": f"{world.mirror}/m/team/a:1",
        "digest": manifest_at(world.mirror, "m/team/a", "1")[1],
        "platforms": [],
        "size": first["sent"],
        "sent": first["size"],
        "mounted": 0,
        "referrers": 0,
        "reason": f"rule {world.upstream} → {world.mirror}/m",
        "error": None,
        "notes": [],
    }
    assert (second["status"], second["target"], second["error"]) == ("skipped", None, None)
    assert (third["status"], third["error"]) == ("failed", third["reason"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give images, --manifests FILE or --cluster"),
        (("-",), "there is no image to copy"),
        (("=a:1", "--platform", "linux"), "is not a platform"),
        (("=a:1", "--ca", "a.example=none.pem"), "is no REGISTRY=FILE"),
        (("=a:1", "--plain-http", "http://a"), "is no registry"),
    ],
)
def test_a_wrong_usage_is_told(world, arguments, told):
    result = world.run(*arguments, stdin="")

    assert result.exit_code == 2
    assert told in result.stderr


def test_a_terminal_gets_a_bar_that_goes_away(world):
    hosts = [f"--plain-http={host}" for host in (world.upstream, world.mirror)]
    command = [sys.executable, "-m", "webhook", "copy", "-c", str(world.rules), *hosts]
    written, output = run_in_terminal([*command, f"{world.upstream}/team/a:1"])

    assert b"Copying images 0/1" in written
    assert output.startswith(b"  copied ")
    assert b"Copying" not in output
