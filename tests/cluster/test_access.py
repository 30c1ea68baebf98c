"""The permissions of the service account of the chart."""

from __future__ import annotations

from tests.cluster.api import Api, namespaced
from tests.cluster.processes import until
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
    # EndpointSlices have generated names.
    *((SLICES, "list", name, NAME) for name in ("", f"{NAME}-ca", "another")),
}


def allowed(plane, account, resource, verb, name, namespace):
    """Ask the API server whether an account has a permission."""
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
    """Yield every resource and subresource of the API server."""
    lists = [("", plane.api.get("/api/v1"))]
    for group in plane.api.get("/apis")["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        lists.append((group["name"], plane.api.get(f"/apis/{version}")))
    for group, found in lists:
        for resource in found["resources"]:
            plural, _, subresource = resource["name"].partition("/")
            yield (group, plural, subresource)


def test_service_account_has_only_the_permissions_it_needs(plane, world):
    values = {"rules": RULES, "selection": {"mode": "listed", "namespaces": ["nowhere"]}}
    with released(plane, values, name=NAME):
        # Permissions of every account do not come from the chart.
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


def test_replica_may_change_only_the_ca_bundle(world, release):
    assert_only_the_ca_bundle_may_change(world, release)


def assert_only_the_ca_bundle_may_change(world, release):
    """The token of a replica cannot widen the webhook, although RBAC lets it patch it."""
    path = namespaced("serviceaccounts", release.name, f"{release.name}/token")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = world.api.post(path, request)["status"]["token"]
    replica = Api(world.api.server, release.plane.authority.read_text(), token)
    before = world.api.get(release.configuration)
    (webhook,) = before["webhooks"]
    bundle = webhook["clientConfig"]["caBundle"]
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}

    def refusal(change, **metadata):
        body = {"metadata": metadata, "webhooks": [{**webhook, **change}]}
        try:
            replica.patch(release.configuration, body)
        except AssertionError as error:
            return str(error)
        return ""

    try:
        message = until(lambda: refusal({"rules": [rule]}), "the policy that limits patches")
        assert "only caBundle of a webhook" in message
        for change in (
            {"namespaceSelector": {}},
            {"failurePolicy": "Fail"},
            {"clientConfig": {"url": "https://attacker.example/", "caBundle": bundle}},
        ):
            assert "only caBundle of a webhook" in refusal(change), change
        assert "not metadata" in refusal({}, finalizers=["a.example/b"])
        assert not refusal({})
    finally:
        replica.close()
    after = world.api.get(release.configuration)
    assert after["webhooks"] == before["webhooks"]
