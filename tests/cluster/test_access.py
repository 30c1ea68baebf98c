"""What the service account of the chart may do: what it needs, and nothing else."""

from __future__ import annotations

from tests.cluster.release import released
from tests.cluster.world import RULES

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
NAME = "mirrorhook-access"
CONFIGURATION = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "")
SECRETS = ("", "secrets", "")
SLICES = ("discovery.k8s.io", "endpointslices", "")
NAMED = ("get", "watch", "patch")
OURS = {
    *((CONFIGURATION, verb, f"{NAME}.{NAME}", "") for verb in NAMED),
    *((SECRETS, verb, f"{NAME}-ca", NAME) for verb in NAMED),
    # No name can be given for what is to be created.
    *((SECRETS, "create", name, NAME) for name in ("", f"{NAME}-ca", "another")),
    # Their names end at random.
    *((SLICES, "list", name, NAME) for name in ("", f"{NAME}-ca", "another")),
}


def allowed(plane, account, resource, verb, name, namespace):
    """Ask the API server what an account may do."""
    group, plural, subresource = resource
    attributes = {"group": group, "resource": plural, "subresource": subresource}
    attributes |= {"verb": verb, "name": name, "namespace": namespace}
    user = f"system:serviceaccount:{NAME}:{account}"
    groups = [
        "system:serviceaccounts",
        f"system:serviceaccounts:{NAME}",
        "system:authenticated",
    ]
    spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
    return plane.api.post(REVIEWS, {"spec": spec})["status"]["allowed"]


def resources(plane):
    """Every resource that the API server serves, with its subresources."""
    lists = [("", plane.api.get("/api/v1"))]
    for group in plane.api.get("/apis")["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        lists.append((group["name"], plane.api.get(f"/apis/{version}")))
    for group, found in lists:
        for resource in found["resources"]:
            plural, _, subresource = resource["name"].partition("/")
            yield (group, plural, subresource)


def test_it_may_do_what_it_needs_and_nothing_else(plane, world):
    values = {"rules": RULES, "selection": {"mode": "listed", "namespaces": ["nowhere"]}}
    with released(plane, values, name=NAME):
        # What anybody may do is no matter of the chart.
        asked = [
            (resource, verb, name, namespace)
            for resource in resources(plane)
            for verb in VERBS
            for name, namespace in (
                ("", ""),
                *(("another", NAME), ("another", "kube-system")),
                *((each, NAME) for each in {f"{NAME}-ca", ""} if resource in {SECRETS, SLICES}),
                *((f"{NAME}.{NAME}", "") for _ in range(resource == CONFIGURATION)),
            )
        ]
        granted = {
            each
            for each in asked
            if allowed(plane, NAME, *each) and not allowed(plane, "anybody", *each)
        }
    assert len(asked) > 1000
    assert granted == OURS
