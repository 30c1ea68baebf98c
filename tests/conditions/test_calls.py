"""Which Pods the API server calls the webhook for."""

from __future__ import annotations

import pytest

from tests.conditions.release import FROM_RULES, PodRequest, pod, release_policies

HUB = "docker.io"
M = ["m.example/x"]


def mirrored(*matches):
    return [{"match": match, "mirrors": M} for match in matches]


def kept(*matches):
    return [{"match": match, "keep": True} for match in matches]


# Rules, images that cause a call, and images that do not.
RULES = {
    "a registry": (
        mirrored("gcr.io"),
        "gcr.io/a gcr.io/a/b:1 gcr.io/a@sha256:0",
        (
            "gcr.io.example.org/a registry.example.com/gcr.io/a notgcr.io/a GCR.io/a "
            "eu.gcr.io/a gcr.io:443/a gcr.io a/gcr.io xgcr.io/a gcrxio/a"
        ),
    ),
    "Docker Hub": (
        mirrored(HUB),
        (
            "nginx nginx:1 a/b a/b/c:1 docker.io/nginx docker.io/a/b index.docker.io/nginx "
            "index.docker.io/a/b localhost localhost:5000 nginx@sha256:0"
        ),
        "localhost/a localhost:5000/a Docker.io/a docker.io:443/a r.docker.io/a",
    ),
    "Docker Hub by its old name": (
        mirrored("index.docker.io/a"),
        "a/b docker.io/a/b",
        "a b/a",
    ),
    "official images": (
        mirrored("docker.io/library"),
        "nginx docker.io/nginx library/nginx index.docker.io/nginx:1",
        "a/nginx docker.io/a/library libraryx/a",
    ),
    "a path": (
        mirrored("quay.io/argoproj", "quay.io/a/b"),
        "quay.io/argoproj/x quay.io/argoproj:1 quay.io/argoproj@x quay.io/a/b/c",
        "quay.io/argoprojx/a quay.io/a/bc quay.io/a quay.io/b quay.io/x/argoproj",
    ),
    "a port, and localhost": (
        mirrored("localhost:5000", "localhost", "[fd00::1]:5000", "r.example:5000/a"),
        "localhost:5000/a localhost/a/b [fd00::1]:5000/a r.example:5000/a:1",
        "localhost:5001/a localhost:5000 r.example:5000/b r.example/a",
    ),
    "a host in upper case": (
        mirrored("GCR.io", "Local"),
        "GCR.io/a Local/a",
        "gcr.io/a local/a",
    ),
    "subdomains": (
        mirrored("*.gcr.io", "*.example:5000/a"),
        "eu.gcr.io/a a.b.gcr.io/a r.example:5000/a/b",
        "gcr.io/a xgcr.io/a eu.gcr.io.example/a r.example:5000/b r.example/a",
    ),
    "subdomains of a top-level domain": (
        mirrored("*.io"),
        "nginx quay.io/a",
        "r.example/a",
    ),
    "every registry": (
        [{"match": "*", "mirrors": ["m.example/cache", "n.example"]}],
        "nginx quay.io/a localhost/a m.example.org/a m.example:443/a",
        "m.example/cache/quay.io/a m.example/other n.example/a",
    ),
    "every registry but a few": (
        [{"match": "*", "mirrors": ["m.example"]}, *kept("quay.io/our", "*.corp.example")],
        "nginx quay.io/a corp.example/a",
        "quay.io/our/app:1 r.corp.example/a m.example/a",
    ),
    "every registry, and one at its mirror": (
        [
            {"match": "*", "mirrors": ["m.example/x"]},
            {"match": "m.example/old", "mirrors": ["m.example/new"]},
        ],
        "m.example/old/a nginx",
        "m.example/new/a m.example/x/a",
    ),
    "an exception below a match": (
        mirrored("quay.io") + kept("quay.io/our"),
        "quay.io/a quay.io/ours",
        "quay.io/our quay.io/our/app:1",
    ),
    "a match below an exception": (
        mirrored("quay.io", "quay.io/our/old") + kept("quay.io/our"),
        "quay.io/a quay.io/our/old/x",
        "",
    ),
    "one of the subdomains excepted": (
        mirrored("*.gcr.io") + kept("eu.gcr.io", "*.us.gcr.io"),
        "asia.gcr.io/a us.gcr.io/a",
        "eu.gcr.io/a a.us.gcr.io/a",
    ),
    "a match among excepted subdomains": (
        mirrored("eu.gcr.io", "us.gcr.io/a") + kept("*.gcr.io"),
        "eu.gcr.io/a us.gcr.io/a",
        "asia.gcr.io/a",
    ),
    "a path among excepted subdomains": (
        mirrored("*.gcr.io", "eu.gcr.io/a") + kept("*.gcr.io/a"),
        "eu.gcr.io/a us.gcr.io/b",
        "",
    ),
    "a longer match in more of the subdomains than an exception": (
        mirrored("*.io/a/b", "gcr.io") + kept("gcr.io/a"),
        "gcr.io/a/b gcr.io/c",
        "",
    ),
    "Docker Hub with an exception": (
        mirrored(HUB) + kept("docker.io/library"),
        "a/b",
        "nginx docker.io/nginx library/nginx",
    ),
    "exceptions alone": (kept("quay.io", "*"), "", "quay.io/a nginx"),
    "a mirror within its own match": (
        [
            {"match": "r.example", "mirrors": [{"target": "r.example/proxy"}]},
            {"match": "*.gcr.io", "mirrors": ["mirror.gcr.io"]},
        ],
        "r.example/a r.example/proxyx eu.gcr.io/a",
        "r.example/proxy/a mirror.gcr.io/a",
    ),
    "a mirror within the match of another rule": (
        [
            {"match": "docker.io/bitnami", "mirrors": ["docker.io/bitnamilegacy"]},
            {"match": "r.example", "mirrors": ["r.example/proxy"]},
            {"match": "r.example/proxy/a", "mirrors": ["r.example/proxy/b"]},
        ],
        "bitnami/redis r.example/a r.example/proxy/a",
        "bitnamilegacy/redis",
    ),
    "a regex": (
        [{"regex": r"^docker\.io/bitnami/([a-z]+)$", "mirrors": [r"m.example/\1"]}],
        "bitnami/redis bitnami/redis:7 docker.io/bitnami/redis:7@sha256:0",
        "bitnami/redis/x:7 quay.io/docker.io/bitnami/x a/docker.io/bitnami/x a@b/c a.b@c/d",
    ),
    "a regex, and exceptions that it does not know": (
        [
            {"regex": r"(.+)/a", "mirrors": [r"m.example/\1"]},
            *mirrored("quay.io"),
            *kept("quay.io/our"),
        ],
        "quay.io/our/a:1 quay.io/b x/a",
        "quay.io/our/b",
    ),
    "two regexes with groups of one name": (
        [{"regex": rf"{host}\.io/(?P<name>.+)", "mirrors": M} for host in ("gcr", "ghcr")],
        "gcr.io/a ghcr.io/a",
        "quay.io/a",
    ),
    "a regex that says what is kept": (
        [{"regex": "quay.io/.*", "keep": True}, *mirrored("gcr.io")],
        "gcr.io/a",
        "quay.io/a",
    ),
}


@pytest.fixture(scope="module")
def policies():
    """The policies of RULES, in one release."""
    named = {f"p{n}": {"rules": rules} for n, (rules, _, _) in enumerate(RULES.values())}
    return dict(zip(RULES, release_policies(named).values(), strict=True))


@pytest.mark.parametrize("case", RULES)
def test_rules_decide_which_images_cause_a_call(policies, case):
    _, called, left_alone = RULES[case]
    policy = policies[case]
    images = called.split() + left_alone.split()
    assert [image for image in images if policy.calls_for(image)] == called.split()
    changed = [image for image in images if policy.policy.decide(image).candidate]
    assert set(changed) <= set(called.split())


@pytest.mark.parametrize(
    "regexes",
    [
        [r"\Cocker\.io/(.+)"],
        [r"\Qgcr.io/a"],
        [r"\Qgcr.io/a", r"\Qgcr.io/b\E"],
    ],
)
def test_regex_that_the_api_server_cannot_read_makes_no_condition(regexes):
    rules = [{"regex": regex, "mirrors": M} for regex in regexes]
    (policy,) = release_policies({"p": {"rules": [*rules, *mirrored("quay.io")]}}).values()
    assert FROM_RULES not in policy.conditions
    assert policy.calls_for("registry.example/a")


@pytest.fixture(scope="module")
def policy():
    (policy,) = release_policies({"p": {"rules": mirrored("gcr.io", HUB)}}).values()
    return policy


GCR = {"name": "x", "image": "gcr.io/a:1"}
QUAY = {"name": "x", "image": "quay.io/a:1"}
MARKED = {"kubernetes.io/config.mirror": "0"}
DISABLED = {"mirrorhook.io/rewrite": "disabled"}


@pytest.mark.parametrize(
    ("given", "called"),
    [
        (pod("quay.io/a"), False),
        (pod("quay.io/a", "gcr.io/a"), True),
        (pod("quay.io/a", initContainers=[GCR]), True),
        (pod("quay.io/a", ephemeralContainers=[GCR]), True),
        (pod("quay.io/a", initContainers=[QUAY], ephemeralContainers=[QUAY]), False),
        (
            pod("quay.io/a", volumes=[{"name": "v", "image": {"reference": "gcr.io/a"}}]),
            True,
        ),
        (
            pod("quay.io/a", volumes=[{"name": "v", "image": {"reference": "quay.io/a"}}]),
            False,
        ),
        (pod("quay.io/a", volumes=[{"name": "v", "image": {}}, {"name": "w"}]), False),
        (pod(initContainers=[{**GCR, "imagePullPolicy": "Never"}]), False),
        (pod(initContainers=[{**GCR, "imagePullPolicy": "Always"}]), True),
        (
            pod("quay.io/a", initContainers=[{"name": "y"}, {"name": "z", "image": ""}]),
            False,
        ),
        ({"metadata": {}, "spec": {"containers": None}}, False),
        ({"metadata": {}, "spec": {"containers": [None], "initContainers": None}}, False),
        ({"spec": {}}, False),
        ({}, False),
        ({**pod("gcr.io/a"), "metadata": {"annotations": MARKED}}, False),
        ({**pod("gcr.io/a"), "metadata": {"labels": MARKED}}, True),
        ({**pod("gcr.io/a"), "metadata": {"annotations": DISABLED}}, False),
        ({**pod("gcr.io/a"), "metadata": {"labels": DISABLED}}, False),
        (
            {**pod("gcr.io/a"), "metadata": {"labels": {"mirrorhook.io/rewrite": "no"}}},
            True,
        ),
        (
            {
                **pod("gcr.io/a"),
                "metadata": {"labels": {"a": "b"}, "annotations": {"a": ""}},
            },
            True,
        ),
    ],
)
def test_image_field_causes_a_call_unless_the_pod_is_opted_out(policy, given, called):
    request = PodRequest(given)
    assert policy.calls(request) is called
    assert called or not policy.patches(request)


@pytest.mark.parametrize(
    ("old", "new", "called"),
    [
        (pod("gcr.io/a"), {**pod("gcr.io/a"), "metadata": {"labels": {"a": "b"}}}, False),
        (pod("gcr.io/a"), pod("gcr.io/b"), True),
        (pod("gcr.io/a"), pod("quay.io/b"), False),
        (pod("gcr.io/a", "quay.io/a"), pod("quay.io/a", "gcr.io/a"), True),
        (pod("quay.io/a"), pod("quay.io/a", ephemeralContainers=[GCR]), True),
        (pod("quay.io/a"), pod("quay.io/a", ephemeralContainers=[QUAY]), False),
        (
            pod("gcr.io/a", initContainers=[GCR]),
            pod("gcr.io/a", ephemeralContainers=[GCR]),
            True,
        ),
        (pod("gcr.io/a"), pod("gcr.io/a", volumes=[{"name": "v"}]), False),
        ({}, pod("gcr.io/a"), True),
        ({}, {}, False),
    ],
)
@pytest.mark.parametrize("subresource", ["", "ephemeralcontainers"])
def test_update_causes_a_call_if_it_changes_containers(policy, old, new, called, subresource):
    request = PodRequest(new, old, subresource)
    assert policy.calls(request) is called
    assert called or not policy.patches(request)
