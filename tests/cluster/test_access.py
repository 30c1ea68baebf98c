"""What the service accounts of the chart may do: each is tried on the API server."""

from __future__ import annotations

import ssl

import httpx

from tests.cluster.api import Api, namespaced
from tests.cluster.processes import until
from tests.cluster.release import released
from tests.cluster.world import RULES

NAME = "mirrorhook-access"
FILL = f"{NAME}-fill"
NOBODY = "nobody"
CONFIGURATION = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations")
SECRETS = ("", "secrets")
SLICES = ("discovery.k8s.io", "endpointslices")
OF_OBJECTS = {"get": "GET", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
OF_LISTS = {"list": "GET", "watch": "GET", "create": "POST", "deletecollection": "DELETE"}
OF_SUBRESOURCES = OF_OBJECTS | {"create": "POST"}
OTHER_PATHS = ("/metrics", "/logs/", "/debug/pprof/", "/debug/flags/v", "/flagz", "/statusz")
WORKLOADS = {
    "": ["pods"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "batch": ["cronjobs", "jobs"],
}
NAMED = ("get", "watch", "patch")
PLACES = ("", NAME, "kube-system")
# What each service account may do: a resource, a verb, the namespace and the name.
MAY = {
    NAME: {
        *((CONFIGURATION, verb, "", f"{NAME}.{NAME}") for verb in NAMED),
        *((SECRETS, verb, NAME, f"{NAME}-ca") for verb in NAMED),
        # EndpointSlices have generated names.
        (SLICES, "list", NAME, ""),
        (SLICES, "list", NAME, f"{NAME}-ca"),
    },
    FILL: {
        *(
            ((group, plural), "list", place, name)
            for group, found in WORKLOADS.items()
            for plural in found
            for place, name in ((place, "") for place in PLACES)
        )
    },
    # The Pod of `helm test` has no service account of its own.
    "default": set(),
}


def resources(plane):
    """Yield each resource and subresource: its path, its group, its name, and its scope."""
    roots = [("/api/v1", "")]
    roots += [
        (f"/apis/{group['preferredVersion']['groupVersion']}", group["name"])
        for group in plane.api.get("/apis")["groups"]
    ]
    for root, group in roots:
        for each in plane.api.get(root)["resources"]:
            yield root, group, each["name"], each["namespaced"]


def attempts(plane):
    """Yield each attempt: what it is, its method, its path and its query."""
    for root, group, plural, is_namespaced in resources(plane):
        resource = (group, plural)
        main, _, subresource = plural.partition("/")
        names = ["another"]
        names += [f"{NAME}-ca"] * (resource in {SECRETS, SLICES})
        names += [f"{NAME}.{NAME}"] * (resource == CONFIGURATION)
        for place in PLACES if is_namespaced else ("",):
            path = f"{root}/namespaces/{place}/{main}" if place else f"{root}/{main}"
            verbs = OF_SUBRESOURCES if subresource else OF_OBJECTS
            for name in names if place or not is_namespaced else ():
                one = f"{path}/{name}/{subresource}".rstrip("/")
                for verb, method in verbs.items():
                    yield (resource, verb, place, name), method, one, {"dryRun": "All"}
            if subresource:
                continue
            for name in ("", *names[1:]):
                for verb, method in OF_LISTS.items():
                    query = {"dryRun": "All"} if method != "GET" else {}
                    query |= {"watch": "1", "timeoutSeconds": "1"} if verb == "watch" else {}
                    query |= {"fieldSelector": f"metadata.name={name}"} if name else {}
                    if not (name and verb == "create"):
                        yield (resource, verb, place, name), method, path, query


def client_of(plane, given):
    """Return a client of the API server with a token."""
    verify = ssl.create_default_context(cadata=plane.authority.read_text())
    headers = {"Authorization": f"Bearer {given}"}
    return httpx.Client(base_url=plane.url, headers=headers, verify=verify, timeout=30)


def is_refused(answer):
    """Return whether the answer is that the user does not have the permission."""
    return answer.status_code == httpx.codes.FORBIDDEN and '" cannot ' in answer.json()["message"]


def granted(client, tried):
    """Return those attempts that the API server does not refuse."""
    bodies = {"POST": {}, "PUT": {}, "PATCH": {}}
    kinds = {"PATCH": {"Content-Type": "application/merge-patch+json"}}
    return {
        what
        for what, method, path, query in tried
        if not is_refused(
            client.request(
                method, path, json=bodies.get(method), params=query, headers=kinds.get(method)
            )
        )
    }


def test_service_accounts_are_refused_everything_beyond_their_rules(plane, world):
    nowhere = {"mode": "listed", "namespaces": ["nowhere"]}
    values = {"rules": RULES, "selection": nowhere, "fill": {"enabled": True, "suspend": True}}
    with released(plane, values, name=NAME):
        tried = [*attempts(plane)]
        world.namespace(name=NOBODY)
        # What every service account may do does not come from the chart.
        with client_of(plane, plane.api.create_token(NOBODY, "default")) as client:
            everybody = granted(client, tried)
        accounts = {
            each["metadata"]["name"]
            for each in plane.api.get(namespaced("serviceaccounts", NAME))["items"]
        }
        assert accounts == set(MAY)
        for account, may in MAY.items():
            with client_of(plane, plane.api.create_token(NAME, account)) as client:
                assert granted(client, tried) - everybody == may, account
                for path in OTHER_PATHS:
                    assert is_refused(client.get(path)), path
                for other in ("admin", f"system:serviceaccount:{NAME}:default"):
                    answer = client.get("/api", headers={"Impersonate-User": other})
                    assert is_refused(answer), other
    assert len(tried) > 1000
    reviews = {"selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"}
    assert {plural for (_, plural), *_ in everybody} == reviews | {"clustertrustbundles"}


def test_replica_may_change_only_the_ca_bundle(world, release):
    assert_only_the_ca_bundle_may_change(world, release)


def assert_only_the_ca_bundle_may_change(world, release):
    """The token of a replica cannot widen the webhook, although RBAC lets it patch it."""
    given = world.api.create_token(release.name, release.name)
    replica = Api(world.api.server, release.plane.authority.read_text(), given)
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
