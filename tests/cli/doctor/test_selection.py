"""How a namespace or a Pod that no webhook selects gets selected."""

from __future__ import annotations

import pytest

from tests.cli.doctor.reader import ENABLED, MemoryReader, configuration, pod
from webhook.cli.doctor.checks import check_namespace
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.webhooks import CONFIGURATIONS

NAME = "kubernetes.io/metadata.name"


def needs(operator, *values, key=NAME):
    return {"key": key, "operator": operator, "values": list(values)}


OPTED_IN = needs("In", "enabled", key="mirrorhook.io/rewrite")
NOT_OUT = needs("NotIn", "disabled", key="mirrorhook.io/rewrite")
SYSTEM = needs("NotIn", "mirrorhook", "kube-system")

# Labels of the namespace, its name, selectors of webhooks, status, and the fix.
CASES = {
    "not opted in": (
        *({}, "shop", [[OPTED_IN]], "wrong"),
        "kubectl label namespace shop mirrorhook.io/rewrite=enabled --overwrite",
    ),
    "opted out": (
        *({"mirrorhook.io/rewrite": "disabled"}, "shop", [[NOT_OUT]], "wrong"),
        "kubectl label namespace shop mirrorhook.io/rewrite- --overwrite",
    ),
    "another label": (
        *(ENABLED, "shop", [[OPTED_IN, needs("In", "prod", key="env")]], "wrong"),
        "kubectl label namespace shop env=prod --overwrite; or change selection.namespaceSelector",
    ),
    "both labels": (
        *({}, "shop", [[OPTED_IN, needs("Exists", key="env")]], "wrong"),
        "kubectl label namespace shop mirrorhook.io/rewrite=enabled env=true --overwrite",
    ),
    "excluded": (
        *(ENABLED, "shop", [[OPTED_IN, needs("NotIn", "mirrorhook", "shop")]], "wrong"),
        "remove shop from selection.excludedNamespaces in the values, and run helm upgrade",
    ),
    "not listed": (
        *({}, "shop", [[NOT_OUT, needs("In", "a", "b")]], "wrong"),
        "add shop to selection.namespaces in the values, and run helm upgrade",
    ),
    "opt-in is easier than listing": (
        *({}, "shop", [[NOT_OUT, needs("In", "a")], [OPTED_IN]], "wrong"),
        "kubectl label namespace shop mirrorhook.io/rewrite=enabled --overwrite",
    ),
    "a system namespace, if all are selected": (
        *({}, "kube-system", [[NOT_OUT, SYSTEM], [OPTED_IN, needs("In", "kube-system")]], "wrong"),
        "kubectl label namespace kube-system mirrorhook.io/rewrite=enabled --overwrite",
    ),
    "our own": (
        *(ENABLED, "mirrorhook", [[OPTED_IN, needs("NotIn", "mirrorhook")]], "note"),
        "create the Pods in another namespace",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_namespace_that_is_not_selected_gets_a_fix_that_selects_it(case):
    labels, name, selectors, status, fix = CASES[case]
    reader = MemoryReader()
    reader.objects[f"/api/v1/namespaces/{name}"] = {"metadata": {"name": name, "labels": labels}}
    reader.lists[CONFIGURATIONS] = [
        configuration(namespaceSelector={"matchExpressions": each}) for each in selectors
    ]
    (found,) = check_namespace(reader, read_installation(reader), name, None)
    assert (found.check, found.status) == ("namespace", status)
    assert found.fix.startswith(fix)
    reader.objects[f"/api/v1/namespaces/{name}/pods/web"] = pod("nginx", namespace=name)
    (found,) = explain_pod(reader, read_installation(reader), name, "web")
    assert found.check == "namespace"
    assert found.fix.startswith(fix)
    assert found.fix.endswith("then recreate the Pod")


@pytest.mark.parametrize(
    ("requirement", "labels", "message", "fix"),
    [
        (
            needs("NotIn", "instance", key="cnpg.io/podRole"),
            {"cnpg.io/podRole": "instance"},
            "CloudNativePG, which compares images",
            "docs/install.md",
        ),
        (
            needs("NotIn", "spilo", key="application"),
            {"application": "spilo"},
            "Postgres operator",
            "docs/install.md",
        ),
        (
            needs("NotIn", "web", key="application"),
            {"application": "web"},
            "label application must not be web",
            "set application- in the labels",
        ),
        (
            needs("DoesNotExist", key="kubevirt.io"),
            {"kubevirt.io": "x"},
            "KubeVirt",
            "docs/install.md",
        ),
        (
            needs("In", "blue", key="team"),
            {},
            "label team must be blue",
            "set team=blue in the labels of the Pod's template",
        ),
        (
            needs("Exists", key="cnpg.io/podRole"),
            {},
            "label cnpg.io/podRole is missing",
            "set cnpg.io/podRole=true",
        ),
    ],
)
def test_pod_that_is_excluded_by_labels_is_explained(requirement, labels, message, fix):
    reader = MemoryReader()
    selector = {"matchExpressions": [requirement]}
    reader.lists[CONFIGURATIONS] = [configuration(objectSelector=selector)]
    reader.objects["/api/v1/namespaces/shop/pods/web"] = pod("nginx", labels=labels)
    (found,) = explain_pod(reader, read_installation(reader), "shop", "web")
    assert (found.check, found.status) == ("Pod", "note")
    assert message in found.text
    assert fix in found.fix
    assert ("operator" in found.text) == ("install.md" in fix)
