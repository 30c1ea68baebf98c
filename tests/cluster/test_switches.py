"""Switches of a release to other certificates or to a policy, and back."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from functools import partial

import pytest
import yaml

from tests.cluster.api import namespaced
from tests.cluster.custom_kinds import add_kind
from tests.cluster.processes import until
from tests.cluster.release import CHART, Release, trusted
from tests.cluster.world import MIRROR, RULES
from tests.tools.helm import helm3, helm4
from webhook.tls.ca import create_self_signed

NGINX = f"{MIRROR}/hub/library/nginx"
_, AUTHORITY = create_self_signed(["mirrorhook.example.svc"], now=datetime.now(UTC))
EXISTING = {"mode": "existing", "existing": {"secretName": "webhook-certificate"}}
WITH_BUNDLE = {**EXISTING["existing"], "caBundle": AUTHORITY.decode()}
PROBLEM = "certificate rotation has a problem"

SWITCHES = {
    "policy": {"rewriter": "policy"},
    "existing": {"certificates": EXISTING},
    "existing with its CA": {"certificates": {**EXISTING, "existing": WITH_BUNDLE}},
    "cert-manager": {"certificates": {"mode": "cert-manager"}},
}


@pytest.fixture(scope="module", autouse=True)
def cert_manager(world):
    """The kinds of cert-manager, without cert-manager itself."""
    for kind in ("Certificate", "Issuer"):
        add_kind(world, "cert-manager.io/v1", kind)


def rendered(helm, plane, release, values):
    """Return kind and name of the objects that the release should have."""
    file = plane.folder / "rendered-values.json"
    file.write_text(yaml.safe_dump(values))
    text = plane.run(
        *(helm, "template", release.name, CHART, "--namespace", release.name),
        *("--values", file, "--no-hooks"),
    )
    items = [each for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]) for each in items}


def existing(plane, release, kinds):
    """Return kind and name of the objects that exist with the label of the release."""
    found = set()
    for kind in kinds:
        text = plane.kubectl(
            *("get", kind, "-A", "--ignore-not-found", "-o", "yaml"),
            *("-l", f"app.kubernetes.io/instance={release.name}"),
        )
        items = (yaml.safe_load(text) or {}).get("items", [])
        found |= {(kind, each["metadata"]["name"]) for each in items}
    return found


@pytest.mark.parametrize("helm", [helm3, helm4])
@pytest.mark.parametrize("switch", SWITCHES)
def test_switch_and_its_way_back_leave_nothing(plane, world, helm, switch):
    space = world.namespace()
    values = {"rules": RULES, "selection": {"mode": "listed", "namespaces": [space]}}
    other = {**values, **SWITCHES[switch]}
    name = f"mirrorhook-{helm.__name__}-{switch.split()[0]}{len(switch)}"
    release = Release(plane, name)
    wanted = {}
    for key, given in (("self", values), ("other", other)):
        wanted[key] = rendered(helm(), plane, release, given)
    kinds = {kind for kind, _ in wanted["self"] | wanted["other"]}
    secrets = namespaced("secrets", name)
    try:
        release.install(values, helm())
        (replica,) = release.run_replicas()
        until(lambda: trusted(release), "a CA bundle in the configuration")
        world.wait_for(space, "nginx", NGINX)

        release.install(other, helm())
        # The replica is still running: its Pod ends after the objects are gone.
        until(partial(replica.logged, PROBLEM), PROBLEM)
        assert existing(plane, release, kinds) == wanted["other"]
        left = {each["metadata"]["name"] for each in plane.api.get(secrets)["items"]}
        assert f"{name}-ca" not in left
        if "caBundle" in str(other):
            time.sleep(2)  # the replica would have set its own again
            (webhook,) = plane.api.get(release.configuration)["webhooks"]
            assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == AUTHORITY
        release.close()

        release.install(values, helm())
        assert existing(plane, release, kinds) == wanted["self"]
        release.run_replicas()
        world.wait_for(space, "nginx", NGINX)
        plane.run(helm(), "uninstall", name, "--namespace", name)
        until(lambda: not existing(plane, release, kinds), "the end of all objects")
        left = {each["metadata"]["name"] for each in plane.api.get(secrets)["items"]}
        assert not {each for each in left if "sh.helm" not in each}
    finally:
        release.close()


@pytest.mark.parametrize("helm", [helm3, helm4])
def test_policy_can_be_removed(plane, world, helm):
    """Its webhook goes, although a replica has set its CA bundle."""
    space = world.namespace()
    selection = {"mode": "listed", "namespaces": [space]}
    team = {"selection": {"namespaces": ["elsewhere"]}, "rules": RULES}
    values = {"rules": RULES, "selection": selection}
    release = Release(plane, f"mirrorhook-{helm.__name__}-team")
    try:
        release.install({**values, "policies": {"team": team}}, helm())
        release.run_replicas()
        until(lambda: trusted(release), "a CA bundle in the configuration")
        release.install(values, helm())
        webhooks = plane.api.get(release.configuration)["webhooks"]
        assert [each["name"] for each in webhooks] == ["default.mirrorhook.io"]
        world.wait_for(space, "nginx", NGINX)
        plane.run(helm(), "uninstall", release.name, "--namespace", release.name)
    finally:
        release.close()
