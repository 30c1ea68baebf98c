"""`mirrorhook audit` of a real API server, and its reports in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.cli.guides import typed
from tests.cli.test_audit import COMMANDS
from tests.cluster.api import namespaced
from tests.cluster.policyreport import definition
from tests.cluster.programs import program
from tests.cluster.world import ENABLED, MIRROR, RULES, pod
from tests.tools.golang import GoMissingError
from webhook.cli.image_states import ImageState

DISABLED = {"mirrorhook.io/rewrite": "disabled"}
REPORTS = "/apis/wgpolicyk8s.io/v1alpha2"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "rules.yaml"
    path.write_text(json.dumps({"rules": RULES}))
    return path


@pytest.fixture(scope="module")
def reports(world):
    """An API server that has the kind PolicyReport."""
    try:
        file = definition()
    except GoMissingError as error:
        pytest.skip(str(error))
    world.plane.kubectl("apply", "--server-side", "-f", str(file))
    crd = "crd/policyreports.wgpolicyk8s.io"
    world.plane.kubectl("wait", "--for=condition=Established", crd, "--timeout=120s")


def audit(world, rules, *arguments, given=None):
    """Run the command, and return what it writes."""
    cluster = () if given else ("--kubeconfig", world.plane.kubeconfig)
    done = subprocess.run(
        [sys.executable, "-m", "webhook", "audit", "-c", rules, *cluster, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def template(image, name, **spec):
    labels = {"app": name}
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod(image, **spec)["spec"]},
    }


def create_workloads(world, space):
    def create(resource, name, spec):
        path = namespaced(resource, space)
        return world.api.post(path, {"metadata": {"name": name}, "spec": spec})

    create("apps/v1/deployments", "web", template("nginx:1.27", "web") | {"replicas": 2})
    zero = template("quay.io/team/db:2", "db") | {"replicas": 0, "serviceName": "db"}
    create("apps/v1/statefulsets", "db", zero)
    job = {"template": {"spec": pod("gcr.io/a/b:1", restartPolicy="Never")["spec"]}}
    cron = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}
    create("batch/v1/cronjobs", "nightly", cron)
    given = pod("quay.io/our/tool:1", "ghcr.io/acme/app:1", "registry.k8s.io/pause:3", "nginx:1")
    given["spec"]["containers"][3]["imagePullPolicy"] = "Never"
    world.create(space, given)
    out = pod("gcr.io/a/c:1", name="out")
    out["metadata"]["labels"] = DISABLED
    world.create(space, out)
    world.pods(space, 4)


def test_audit_names_the_owner_and_the_state_of_each_image(world, release, rules):
    space, other = world.namespace(ENABLED), world.namespace()
    create_workloads(world, space)
    world.create(other, pod("nginx:1", name="elsewhere"))
    entries = json.loads(audit(world, rules, "-o", "json"))["images"]
    found = {
        (each["kind"], each["name"], each["original"], each["state"], each["pods"])
        for each in entries
        if each["namespace"] in (space, other)
    }
    state = ImageState
    assert found == {
        ("Deployment", "web", "nginx:1.27", state.MIRRORED, 2),
        ("StatefulSet", "db", "quay.io/team/db:2", state.WOULD_CHANGE, 0),
        ("CronJob", "nightly", "gcr.io/a/b:1", state.WOULD_CHANGE, 0),
        ("Pod", "web", "quay.io/our/tool:1", state.KEPT, 1),
        ("Pod", "web", "ghcr.io/acme/app:1", state.NO_RULE, 1),
        ("Pod", "web", "registry.k8s.io/pause:3", state.MIRRORED, 1),
        ("Pod", "web", "nginx:1", state.NEVER_PULLED, 1),
        ("Pod", "out", "gcr.io/a/c:1", state.OPTED_OUT, 1),
        ("Pod", "elsewhere", "nginx:1", state.NOT_SELECTED, 1),
    }
    pulled = {each["image"] for each in entries if each["name"] == "web"}
    assert f"{MIRROR}/hub/library/nginx:1.27" in pulled
    alone = json.loads(audit(world, rules, "-n", other, "-o", "json"))["images"]
    assert {each["namespace"] for each in alone} == {other}


def test_reports_are_applied_and_replaced_by_the_commands_of_the_page(
    world, release, rules, reports, tmp_path
):
    space = world.namespace(ENABLED)
    create_workloads(world, space)
    (tmp_path / "rules.yaml").symlink_to(rules)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kubectl").symlink_to(program("kubectl"))
    delete, apply = (each for each in COMMANDS if "kubectl" in each)
    kubeconfig = {"KUBECONFIG": str(world.plane.kubeconfig)}
    path = f"{REPORTS}/namespaces/{space}/policyreports"
    for command in (apply, delete, apply):
        done = typed(command, tmp_path, **kubeconfig)
        assert done.returncode == 0, done.stderr
        found = world.api.get(path)["items"]
        assert len(found) == (0 if command == delete else 1)
    (report,) = found
    assert report["metadata"]["name"] == "mirrorhook-audit"
    assert report["summary"] == {"pass": 2, "warn": 2, "fail": 1, "error": 0, "skip": 3}
    by_rule = Counter(each["rule"] for each in report["results"])
    assert by_rule[ImageState.NO_RULE] == 1


def test_reports_of_a_large_namespace_are_small_enough_for_the_api_server(world, rules, reports):
    space = world.namespace()
    image = f"quay.io/{'a' * 200}/{{}}@sha256:{'0' * 64}"
    given = "\n---\n".join(
        json.dumps(
            pod(image.format(number), name=f"p{number}")
            | {"metadata": {"name": f"p{number}", "namespace": space}}
        )
        for number in range(2100)
    )
    written = audit(world, rules, "-o", "policyreport", "-", given=given)
    world.plane.kubectl("apply", "--server-side", "-f", "-", given=json.loads(written))
    found = world.api.get(f"{REPORTS}/namespaces/{space}/policyreports")["items"]
    assert sum(each["summary"]["warn"] for each in found) == 2100
    assert len(found) > 1
