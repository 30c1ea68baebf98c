"""The plan cache bounds its memory and changes no answer."""

from __future__ import annotations

import copy
import gc
import json
import tracemalloc
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.conftest import RULES, Answered, review
from tests.reviews import Results, answer
from webhook.admission import Policy, ReviewOutcome, ReviewResult
from webhook.admission.policy import MAX_BYTES, Plan, PlanCache, estimate_bytes
from webhook.core import MirrorMap, Outcome, Rule
from webhook.objects import ORIGINAL_IMAGES

SECRETS = [None, [], [{"name": "own"}]]
ANNOTATIONS = [
    None,
    {},
    {"a": "b"},
    {ORIGINAL_IMAGES: '{"c9":"x"}'},
    {"some": "x" * 40_000},
    {"wide": "ü" * 40_000},
    {"big": "x" * 262_100},
    [],
]


class CountingRules:
    """Rules that count their decisions."""

    def __init__(self):
        self.decided = []

    def __call__(self, image):
        self.decided.append(image)
        return RULES.decide(image)


def pod_of(*images, annotations=None, volumes=(), secrets=None):
    return {
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {
            "containers": [{"name": f"c{n}", "image": each} for n, each in enumerate(images)],
            "volumes": list(volumes),
            "imagePullSecrets": secrets,
        },
    }


def test_plan_cache_knows_a_pod_with_the_same_images():
    rules = CountingRules()
    policy = Policy("default", rules)
    for number in range(3):
        token = {"name": f"kube-api-access-{number}", "projected": {"sources": []}}
        pod = pod_of("nginx", volumes=[token])
        answer(json.dumps(review(pod)).encode(), policy)
    assert rules.decided == ["nginx"]


def test_plan_cache_distinguishes_volumes_by_position():
    policy = Policy("default", RULES.decide)
    image = {"name": "model", "image": {"reference": "nginx"}}
    other = {"name": "other", "emptyDir": {}}
    first = Answered(review(pod_of(volumes=[other, image])), policy)
    second = Answered(review(pod_of(volumes=[image, other])), policy)
    assert [*first.replaced] == ["/spec/volumes/1/image/reference"]
    assert [*second.replaced] == ["/spec/volumes/0/image/reference"]


class Kept(NamedTuple):
    """What a cache keeps of Pods, by its own estimate and as measured."""

    estimate: int
    size: int
    pods: int


def keep(bodies, rules=RULES, selector=None):
    """Answer reviews, and measure what the cache keeps."""
    policy = Policy("default", rules.decide, selector=selector)
    answer(json.dumps(review(pod_of("first"))).encode(), policy)
    gc.collect()
    tracemalloc.start()
    try:
        for body in bodies:
            answer(body, policy, Forgetful())
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cache = policy.plan_cache
    return Kept(cache._bytes, size, len(cache._plans))


class Forgetful(Results):
    """Reads what a recorder reads of each result, and keeps nothing."""

    def record_review(self, policy, request, result):
        assert result.totals.images == len(result.images)
        assert result.decisions


MIRRORS = MirrorMap(
    [Rule("docker.io", [f"m{n}.example/hub" for n in range(8)]), Rule("*", ["m.example"])]
)
CHAIN = MirrorMap([Rule(f"r{n}.example", [f"r{n + 1}.example", f"s{n}.example"]) for n in range(6)])
SHAPES = {
    "images alone": lambda n: {"containers": [{"image": f"a{n}"}] * 20},
    "names": lambda n: {"containers": [{"name": f"{n}-{k}", "image": "a"} for k in range(20)]},
    "nothing": lambda n: {"containers": [{}] * 100, "initContainers": [{"name": f"a{n}"}]},
    "policies": lambda n: {"containers": [{"name": "a", "imagePullPolicy": f"{n}" * 500}]},
    "invalid images": lambda n: {"containers": [{"name": "a", "image": f"X{n}é😀" * 50}] * 3},
    "wide names": lambda n: {"containers": [{"name": f"{n}😀", "image": "a/" + "b" * 200}] * 5},
    "short wide names": lambda n: {"containers": [{"name": "😀", "image": f"a{n}"}] * 20},
    "volumes": lambda n: {
        "containers": [{"name": "a", "image": "a"}],
        "volumes": [{"name": f"😀{n}{k}", "image": {"reference": "b"}} for k in range(20)],
    },
    "empty volumes": lambda n: {
        "containers": [{"name": f"a{n}", "image": "a"}],
        "volumes": [{"name": "v"}] * 200,
    },
    "secrets": lambda n: {
        "containers": [{"name": "a", "image": "a"}],
        "imagePullSecrets": [{"name": f"{n}{k}"} for k in range(100)],
    },
    "chains": lambda n: {"containers": [{"name": "a", "image": f"r0.example/a:{n}"}] * 10},
    "digests": lambda n: {
        "containers": [{"name": f"c{k}", "image": f"a/b@sha256:{n:064}"} for k in range(4)]
    },
}


def bodies_of(shape, count, annotations=None):
    metadata = {"name": "web", "annotations": annotations}
    for number in range(count):
        yield json.dumps(review({"metadata": metadata, "spec": SHAPES[shape](number)})).encode()


@pytest.mark.parametrize("rules", [RULES, MIRRORS, CHAIN])
@pytest.mark.parametrize("shape", SHAPES)
def test_plan_cache_takes_no_more_memory_than_its_estimate(shape, rules):
    kept = keep(bodies_of(shape, 9), rules)
    assert kept.pods == 10
    assert kept.size < kept.estimate


class WordySelector:
    """Selects the last candidate, with a long reason of its own for each."""

    async def choose(self, decisions, seconds):
        return [
            decision._replace(
                outcome=Outcome.UNCONFIRMED,
                reason=f"{decision.original} → {'x' * 500}",
                candidate=decision.candidates[-1] if decision.candidates else None,
            )
            for decision in decisions
        ]


@pytest.mark.parametrize("shape", SHAPES)
def test_plan_cache_estimates_what_the_selector_chose(shape):
    kept = keep(bodies_of(shape, 9), MIRRORS, WordySelector())
    assert kept.pods == 10
    assert kept.size < kept.estimate


def test_plan_cache_stays_within_its_bound():
    few = MAX_BYTES // keep(bodies_of("digests", 1)).estimate
    kept = keep(bodies_of("digests", 3 * few))
    assert few < kept.pods < 3 * few
    assert kept.size < kept.estimate <= MAX_BYTES


HEAVY = {
    "containers": {"containers": [{"image": "a"}] * 4000},
    "containers without images": {"containers": [{}] * 9000},
    "a container": {"containers": [{"name": "x" * 20_000}, {"name": "a", "image": "nginx"}]},
    "a policy": {"containers": [{"name": "a", "image": "nginx", "imagePullPolicy": "x" * 20_000}]},
    "an image": {"containers": [{"name": "a", "image": "a/" + "b" * 20_000}]},
    "volumes": {"containers": [{"image": "a"}], "volumes": [{"name": "v"}] * 5000},
    "a volume": {"volumes": [{"name": "x" * 20_000, "image": {"reference": "nginx"}}]},
    "a secret": {"containers": [{"image": "a"}], "imagePullSecrets": [{"name": "x" * 20_000}]},
}


@pytest.mark.parametrize("place", HEAVY)
def test_plan_cache_keeps_no_heavy_pod(place):
    policy = Policy("default", RULES.decide)
    pod = {"metadata": {"name": "web"}, "spec": HEAVY[place]}
    for _ in range(2):
        answer(json.dumps(review(pod)).encode(), policy)
    assert not policy.plan_cache._plans
    assert not policy.plan_cache._bytes


def test_plan_cache_forgets_the_plan_used_longest_ago():
    cache, plan = PlanCache(), Plan([], [], ReviewResult(ReviewOutcome.UNCHANGED))
    fitting = MAX_BYTES // estimate_bytes("0000", plan)
    for number in range(fitting):
        cache.put(("policy", f"{number:04}"), plan)
    assert cache.get(("policy", "0000"))
    cache.put(("policy", "new."), plan)
    assert cache.get(("policy", "0000"))
    assert not cache.get(("policy", "0001"))
    assert cache.get(("policy", "0002"))


def test_plan_cache_is_shared_by_policies():
    cache = PlanCache()
    body = json.dumps(review(pod_of("nginx"))).encode()
    policies = [
        Policy("default", RULES.decide),
        Policy("observing", RULES.decide, observe=True),
        Policy("without a record", RULES.decide, record=False),
        Policy("other rules", MIRRORS.decide),
    ]
    for policy in (*policies, *policies):
        assert answer(body, replace(policy, plan_cache=cache)) == answer(body, policy)
    assert len(cache._plans) == len(policies)


def test_plan_cache_replaces_a_plan():
    cache, result = PlanCache(), ReviewResult(ReviewOutcome.UNCHANGED)
    for _ in range(3):
        cache.put(("policy", "a"), Plan([], [], result))
    assert cache._bytes == estimate_bytes("a", Plan([], [], result))
    assert cache.get(("policy", "a")).result is result
    assert cache.get(("policy", "b")) is None


UNUSUAL = {
    "an update": (pod_of("nginx"), {"operation": "UPDATE", "oldObject": pod_of("a")}),
    "a record": (pod_of("nginx", annotations={ORIGINAL_IMAGES: "{}"}), {}),
    "large annotations": (pod_of("nginx", annotations={"a": "x" * 140_000}), {}),
    "annotations of another type": (pod_of("nginx", annotations=[]), {}),
    "secrets of another type": (pod_of("nginx", secrets={}), {}),
    "no metadata": ({"spec": pod_of("nginx")["spec"]}, {}),
    "no spec": ({"metadata": {"name": "web"}}, {}),
    "ephemeral containers": (pod_of("nginx"), {"subResource": "ephemeralcontainers"}),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_plan_cache_keeps_no_unusual_pod(case):
    policy = Policy("default", RULES.decide)
    pod, request = UNUSUAL[case]
    answer(json.dumps(review(pod, **request)).encode(), policy)
    assert not policy.plan_cache._plans


pods = st.builds(
    pod_of,
    st.sampled_from(["nginx", "Bad", "quay.io/our-team/a", "m.example/hub/x", "gcr.io/x"]),
    st.sampled_from(["nginx", "redis:7", "quay.io/x/y"]),
    annotations=st.sampled_from(ANNOTATIONS),
    volumes=st.lists(
        st.sampled_from(
            [{"name": "v", "image": {"reference": "nginx"}}, {"name": "e", "emptyDir": {}}]
        ),
        max_size=2,
    ),
    secrets=st.sampled_from(SECRETS),
)


@given(
    st.lists(st.tuples(pods, st.sampled_from(["CREATE", "UPDATE"]), st.booleans()), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_plan_cache_changes_no_answer(reviews, observe, record):
    used = Policy("default", RULES.decide, observe, record)
    for pod, operation, ephemeral in reviews:
        request = {"operation": operation}
        if operation == "UPDATE":
            request["oldObject"] = pod_of("old")
        if ephemeral:
            request["subResource"] = "ephemeralcontainers"
        given_ = copy.deepcopy(review(pod, **request))
        fresh = Policy("default", RULES.decide, observe, record)
        assert Answered(given_, used).answer == Answered(given_, fresh).answer
