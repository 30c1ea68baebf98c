"""Other webhooks and policies that change or refuse Pods."""

from __future__ import annotations

import base64
import json
import ssl
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
import trustme

from tests.cluster.policies import charted
from tests.cluster.processes import until
from tests.cluster.release import released
from tests.cluster.world import MIRROR, RULES, images, pod

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
SIDECAR = {"op": "add", "path": "/spec/containers/-"} | {
    "value": {"name": "proxy", "image": "istio/proxyv2:1"}
}


class Injector(BaseHTTPRequestHandler):
    """A webhook that adds a container, like a service mesh."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        names = [each["name"] for each in request["object"]["spec"]["containers"]]
        patch = [] if "proxy" in names else [SIDECAR]
        response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch"}
        response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
        data = json.dumps({**review, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def injecting(world, name, space):
    """Run that webhook. Its name determines when the API server calls it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Injector)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    selector = {"matchLabels": {"kubernetes.io/metadata.name": space}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    webhook = {
        "name": f"{name}.example.org",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": bundle,
        },
        "rules": [rule | {"operations": ["CREATE"]}],
        "namespaceSelector": selector,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "reinvocationPolicy": "IfNeeded",
    }
    world.api.post(CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield
    finally:
        world.api.delete(f"{CONFIGURATIONS}/{name}")
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def rewriting(world, rewriter):
    """Rewrite by the webhook or by a policy, in a namespace that is yielded."""
    space = world.namespace()
    values = {
        "rules": [*RULES, {"match": "probe.example", "mirrors": ["probed.example"]}],
        "selection": {"mode": "listed", "namespaces": [space]},
    }
    name = "mirrorhook-injected"
    if rewriter == "policy":
        with charted(world, space, values, name):
            yield space
    else:
        with released(world.plane, values, name=name):
            world.wait_for(space, "nginx", f"{MIRROR}/hub/library/nginx")
            yield space


@pytest.fixture(scope="module", params=["webhook", "policy"])
def rewritten(world, request):
    with rewriting(world, request.param) as space:
        yield space


@pytest.mark.parametrize("name", ["a-mesh", "z-mesh"], ids=["before ours", "after ours"])
@pytest.mark.parametrize(
    ("image", "expected"),
    [("nginx", f"{MIRROR}/hub/library/nginx"), ("r.example/x", "r.example/x")],
    ids=["a rule matches", "no rule matches"],
)
def test_container_added_by_another_webhook_is_rewritten(world, rewritten, name, image, expected):
    with injecting(world, name, rewritten):

        def created():
            return images(world.create(rewritten, pod(image), dryRun="All"))

        until(lambda: "proxy" in created(), "the other webhook")
        assert created() == {"c0": expected, "proxy": f"{MIRROR}/hub/istio/proxyv2:1"}


def test_validating_policy_sees_rewritten_images(world, release, space):
    refused = world.namespace()
    expression = f"object.spec.containers.all(c, c.image.startsWith('{MIRROR}/'))"
    names = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": [space, refused],
    }
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    constraints = {
        "namespaceSelector": {"matchExpressions": [names]},
        "resourceRules": [rule | {"operations": ["CREATE"]}],
    }
    spec = {"matchConstraints": constraints, "validations": [{"expression": expression}]}
    world.api.post(POLICIES, {"metadata": {"name": "mirrored"}, "spec": spec})
    binding = {"policyName": "mirrored", "validationActions": ["Deny"]}
    bindings = f"{POLICIES.removesuffix('policies')}policybindings"
    world.api.post(bindings, {"metadata": {"name": "mirrored"}, "spec": binding})
    path = f"/api/v1/namespaces/{refused}/pods"
    try:
        until(
            lambda: (
                world.api.ask("POST", path, pod("nginx"), dryRun="All").status_code
                == httpx.codes.UNPROCESSABLE_ENTITY
            ),
            "the policy",
        )
        assert images(world.create(space, pod("nginx"))) == {"c0": f"{MIRROR}/hub/library/nginx"}
        answer = world.api.ask("POST", f"/api/v1/namespaces/{space}/pods", pod("r.example/x"))
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    finally:
        world.api.delete(f"{bindings}/mirrored")
        world.api.delete(f"{POLICIES}/mirrored")
