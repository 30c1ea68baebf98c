"""Reviews only from an API server with a client certificate."""

from __future__ import annotations

import json
import ssl

import httpx
import pytest
import trustme

from tests.cluster.api import namespaced
from tests.cluster.control_plane import control_plane
from tests.cluster.processes import until
from tests.cluster.release import Release, trusted
from tests.cluster.world import MIRROR, RULES, World
from tests.tools.helm import helm4

CA = trustme.CA()
NAME = "mirrorhook"
NGINX = f"{MIRROR}/hub/library/nginx"
CONFIG = "apiserver.config.k8s.io/v1"


@pytest.fixture(scope="module")
def certified(programs, tmp_path_factory):
    """A cluster whose API server has a client certificate for the webhook, as the guide says."""
    folder = tmp_path_factory.mktemp("admission")
    issued = CA.issue_cert("api.example", common_name="kube-apiserver")
    issued.cert_chain_pems[0].write_to_path(folder / "client.crt")
    issued.private_key_pem.write_to_path(folder / "client.key")
    user = {
        "client-certificate": str(folder / "client.crt"),
        "client-key": str(folder / "client.key"),
    }
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": f"{NAME}.{NAME}.svc", "user": user}],
    }
    (folder / "kubeconfig.yaml").write_text(json.dumps(kubeconfig))
    webhooks = {"apiVersion": CONFIG, "kind": "WebhookAdmissionConfiguration"}
    webhooks["kubeConfigFile"] = str(folder / "kubeconfig.yaml")
    plugin = {"name": "MutatingAdmissionWebhook", "configuration": webhooks}
    config = {"apiVersion": CONFIG, "kind": "AdmissionConfiguration", "plugins": [plugin]}
    (folder / "config.yaml").write_text(json.dumps(config))
    option = f"--admission-control-config-file={folder}/config.yaml"
    with control_plane(options=(option,)) as plane:
        yield World(plane)


@pytest.mark.parametrize(
    ("names", "expected"), [(["kube-apiserver"], NGINX), ([], NGINX), (["another"], "nginx")]
)
def test_only_the_api_server_gets_an_answer(certified, names, expected):
    plane = certified.plane
    space = certified.namespace()
    clients = {"configMapName": "api-server-ca", "names": names}
    values = {
        "rules": RULES,
        "selection": {"mode": "listed", "namespaces": [space]},
        "certificates": {"clients": clients},
    }
    release = Release(plane, NAME)
    try:
        release.install(values)
        data = {"ca.crt": CA.cert_pem.bytes().decode()}
        given = {"metadata": {"name": "api-server-ca"}, "data": data}
        if not plane.api.find(namespaced("configmaps", NAME, "api-server-ca")):
            plane.api.post(namespaced("configmaps", NAME), given)
        (replica,) = release.run_replicas()
        until(lambda: trusted(release), "a CA bundle in the configuration")
        certified.wait_for(space, "nginx", expected)
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            httpx.post(f"https://{replica.address}:8443/mutate", json={}, verify=False)
    finally:
        plane.run(helm4(), "uninstall", NAME, "--namespace", NAME)
        release.close()
