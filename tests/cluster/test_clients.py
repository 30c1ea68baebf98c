"""Who may send reviews to the webhook: client certificates and floods, with a real API server."""

from __future__ import annotations

import base64
import os
import socket
import sys
from contextlib import suppress

import pytest
import trustme
import yaml

from tests.cluster.control_plane import control_plane
from tests.cluster.processes import until
from tests.cluster.release import ROOT
from tests.cluster.storm import storm
from tests.cluster.world import ENABLED, MIRROR, World

NGINX = f"{MIRROR}/hub/library/nginx"
SERVICE = {"ports": [{"port": 443}]}
RULES = {"rules": [{"match": "docker.io", "mirrors": [f"{MIRROR}/hub"]}]}
FLOOD = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the documentation, and the certificates that they name."""
    folder = tmp_path_factory.mktemp("clients")
    authority, client = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    serving = authority.issue_cert("mirrorhook.mirrorhook.svc")
    serving.private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
    client.cert_pem.write_to_path(folder / "client-ca.crt")
    certificate = client.issue_cert(common_name="kube-apiserver")
    certificate.cert_chain_pems[0].write_to_path(folder / "client.crt")
    certificate.private_key_pem.write_to_path(folder / "client.key")
    (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
    page = (ROOT / "docs/install.md").read_text()
    for name in ("config.yaml", "kubeconfig.yaml"):
        _, _, block = page.partition(f"```yaml\n# /etc/kubernetes/admission/{name}\n")
        text = block.partition("```")[0].replace("/etc/kubernetes/admission", str(folder))
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def guarded(programs, folder):
    """A cluster whose API server presents a certificate."""
    with control_plane(options=(f"--admission-control-config-file={folder}/config.yaml",)) as it:
        yield World(it)


@pytest.fixture(scope="module")
def webhook(guarded, folder):
    """Starts the webhook behind its Service, with the options given."""
    plane = guarded.plane
    guarded.namespace(name="mirrorhook")
    service = {"metadata": {"name": "mirrorhook"}, "spec": SERVICE}
    made = plane.api.post("/api/v1/namespaces/mirrorhook/services", service)
    address = made["spec"]["clusterIP"]
    bundle = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
    target = {"namespace": "mirrorhook", "name": "mirrorhook", "path": "/mutate"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    hook = {
        "name": "pods.mirrorhook.io",
        "clientConfig": {"service": target, "caBundle": bundle},
        "rules": [rule | {"resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": ENABLED},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }
    root = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    plane.api.post(root, {"metadata": {"name": "mirrorhook"}, "webhooks": [hook]})

    def start(*options):
        plane.processes.start(
            "webhook",
            *(sys.executable, "-m", "webhook", "serve", "--config", folder / "rules.yaml"),
            *("--tls-cert", folder / "tls.pem", "--tls-key", folder / "tls.pem"),
            *("--host", address, "--port", "443", "--drain", "0", *options),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
        )
        log = plane.processes.logs / "webhook.log"
        until(lambda: "is ready" in log.read_text(), "the webhook")
        return address, log

    return start


def test_only_the_api_server_with_its_certificate_is_answered(guarded, webhook, folder):
    space = guarded.namespace(ENABLED)
    options = ("--client-ca", str(folder / "client-ca.crt"))
    _, log = webhook(*options, "--client-name", "kube-apiserver")
    guarded.wait_for(space, "nginx", NGINX)
    guarded.plane.processes.end("webhook")
    log.write_text("")
    webhook(*options, "--client-name", "somebody-else")
    found = guarded.tried(space, "nginx")
    assert "the client certificate is for kube-apiserver, which is not allowed" in found
    guarded.plane.processes.end("webhook")
    log.write_text("")
    webhook("--client-ca", str(folder / "ca.crt"))
    assert "failed calling webhook" in guarded.tried(space, "nginx")
    until(lambda: "certificate verify failed" in log.read_text(), "the line")
    guarded.plane.processes.end("webhook")
    log.write_text("")


def test_flood_of_connections_does_not_starve_an_api_server(guarded, webhook):
    space = guarded.namespace(ENABLED)
    address, _ = webhook()
    guarded.wait_for(space, "nginx", NGINX)
    held = []
    with storm(guarded, space, NGINX) as pods:
        for number in range(FLOOD):
            with suppress(OSError):
                source = (f"127.0.0.{2 + number % 3}", 0)
                one = socket.create_connection((address, 443), 5, source_address=source)
                held.append(one)
        before = pods.created
        until(lambda: pods.created > before + 20, "more Pods")
    for one in held:
        one.close()
    guarded.plane.processes.end("webhook")
