"""The kinds of custom resources from installation to removal, by Helm 3 and Helm 4."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from tests.cluster.custom_kinds import DEFINITIONS
from tests.cluster.processes import until
from tests.cluster.release import CHART
from tests.cluster.resources import GROUP, KINDS, remove_kinds
from tests.tools.helm import helm3, helm4

SAMPLES = CHART.parents[1] / "manifests/samples"


class Installer:
    """Installs the chart, without Pods.

    Args:
        plane: The cluster.
        program: Helm.
        folder: Where to write the values.
    """

    def __init__(self, plane, program, folder):
        self.plane = plane
        self.program = program
        self.folder = folder

    def upgrade(self, name, *options, chart=CHART, **values):
        file = self.folder / "values.json"
        given = {
            "customResources": {"enabled": True, **values},
            "networkPolicy": {"enabled": False},
        }
        file.write_text(json.dumps(given))
        return self.plane.run(
            *(self.program, "upgrade", "--install", name, chart, "--namespace", name),
            *("--create-namespace", "--values", file, *options),
        )

    def uninstall(self, name):
        command = ("uninstall", name, "--namespace", name, "--ignore-not-found")
        self.plane.run(self.program, *command)

    def definition(self, plural):
        return self.plane.api.find(f"{DEFINITIONS}/{plural}.mirrorhook.io")

    def wait_served(self):
        for plural in KINDS:
            path = f"{GROUP}/{plural}"
            until(lambda p=path: self.plane.api.ask("GET", p).is_success, f"the API of {plural}")


@pytest.fixture(params=[helm3, helm4], ids=["helm3", "helm4"])
def installer(plane, request, tmp_path):
    installer = Installer(plane, request.param(), tmp_path)
    remove_kinds(plane)  # those that other tests have left, as usual
    yield installer
    remove_kinds(plane)


@pytest.fixture
def installation(plane, tmp_path):
    """The chart, installed as the release rules until the end of the test."""
    installer = Installer(plane, helm4(), tmp_path)
    try:
        installer.upgrade("rules")
        yield installer
    finally:
        installer.uninstall("rules")
        remove_kinds(plane)


@pytest.fixture
def apply_samples(plane, world):
    """Apply the samples of objects, in a namespace of the sample."""
    if not plane.api.find("/api/v1/namespaces/shop"):
        world.namespace({"team-rules": "allowed"}, name="shop")

    def apply():
        for name in KINDS:
            plane.kubectl("apply", "--server-side", "-f", str(SAMPLES / f"{name}.yaml"))

    return apply


def read_rules(plane):
    """Return how many rules each sample has in the cluster."""
    paths = ("clustermirrorrules/harbor", "namespaces/shop/mirrorrules/rules")
    return [len(plane.api.get(f"{GROUP}/{path}")["spec"]["rules"]) for path in paths]


def test_kinds_are_upgraded_kept_adopted_and_removed(plane, installer, apply_samples, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(CHART, older)
    for path in older.glob("files/crds/*.yaml"):
        definition = yaml.safe_load(path.read_text())
        for version in definition["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
            del schema["properties"]["rules"]["items"]["properties"]["enforced"]
        path.write_text(json.dumps(definition))
    installer.upgrade("rules", chart=older)
    installer.wait_served()
    assert "enforced" not in json.dumps(installer.definition("clustermirrorrules"))

    installer.upgrade("rules")
    assert "enforced" in json.dumps(installer.definition("clustermirrorrules"))
    installer.wait_served()
    apply_samples()
    assert read_rules(plane) == [3, 2]

    # What is switched off or uninstalled leaves the kinds and all objects.
    installer.upgrade("rules", enabled=False)
    assert read_rules(plane) == [3, 2]
    installer.upgrade("rules")
    installer.uninstall("rules")
    assert read_rules(plane) == [3, 2]

    # The same release takes them over by itself, and another one if it is told to.
    installer.upgrade("rules")
    installer.uninstall("rules")
    with pytest.raises(AssertionError, match="invalid ownership metadata"):
        installer.upgrade("others")
    installer.upgrade("others", "--take-ownership")
    assert read_rules(plane) == [3, 2]

    # The release says whether they are kept, as it was upgraded last.
    installer.upgrade("others", keep=False)
    installer.uninstall("others")
    until(lambda: not any(map(installer.definition, KINDS)), "the removal of the kinds", 30)


def can(plane, user, namespace, verb, resource):
    """Return whether a user may do something in a namespace."""
    group = "mirrorhook.io"
    name, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": name}
    spec = {"user": user, "resourceAttributes": attributes | {"subresource": subresource}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return plane.api.post(path, review)["status"]["allowed"]


@pytest.mark.usefixtures("installation")
def test_roles_of_a_namespace_include_its_rules_and_nothing_else(plane, world):
    own, other = world.namespace(), world.namespace()
    for role in ("admin", "edit", "view"):
        options = (f"--clusterrole={role}", f"--user={role}", "--namespace", own)
        plane.kubectl("create", "rolebinding", role, *options)
    until(lambda: can(plane, "view", own, "list", "mirrorrules"), "the aggregated roles")
    for user in ("admin", "edit"):
        until(
            lambda user=user: can(plane, user, own, "create", "mirrorrules"),
            f"the role {user}",
        )
        for verb in ("get", "list", "watch", "patch", "update", "delete", "deletecollection"):
            assert can(plane, user, own, verb, "mirrorrules"), verb
    assert not can(plane, "view", own, "create", "mirrorrules")
    for user in ("admin", "edit", "view"):
        assert not can(plane, user, other, "list", "mirrorrules")
        for resource in ("mirrorrules/status", "clustermirrorrules"):
            assert not can(plane, user, own, "patch", resource), resource


@pytest.mark.usefixtures("installation")
def test_replicas_may_do_what_they_need_and_no_more(plane):
    user = "system:serviceaccount:rules:rules-mirrorhook"
    for resource in KINDS:
        for verb in ("list", "watch"):
            until(lambda v=verb, r=resource: can(plane, user, "", v, r), f"{verb} {resource}")
        assert can(plane, user, "", "patch", f"{resource}/status")
        for verb in ("create", "update", "patch", "delete"):
            assert not can(plane, user, "", verb, resource)
    given = plane.kubectl("auth", "can-i", "--list", f"--as={user}", "--namespace=rules")
    assert "leases.coordination.k8s.io" in given
    assert "create" not in next(line for line in given.splitlines() if "leases" in line)


def is_explained(plane, path):
    """Return whether kubectl explains a field; the API server is slow to publish its schema."""
    try:
        return "DESCRIPTION" in plane.kubectl("explain", path)
    except AssertionError:
        return False


def test_kubectl_explains_every_kind(plane, installation):
    installation.wait_served()
    for plural in KINDS:
        path = f"{plural}.spec.rules.mirrors.target"
        until(lambda p=path: is_explained(plane, p), f"the schema of {path}")
    assert "get" in plane.kubectl("api-resources", "--categories=mirrorhook", "-o", "wide")
    values = SAMPLES / "values.yaml"
    plane.run(
        *(installation.program, "upgrade", "rules", CHART, "--namespace", "rules"),
        *("--values", values),
    )
    stored = plane.api.get("/api/v1/namespaces/rules/configmaps/rules-mirrorhook-rules")
    rules = yaml.safe_load(stored["data"]["rules.yaml"])
    assert rules["delegation"] == yaml.safe_load(values.read_text())["delegation"]
