"""Nobody can tell by an answer whether it came from a mold."""

from __future__ import annotations

import gc
import json
import weakref

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.admission.conftest import RULES, Recorder, review
from tests.core.strategies import maps, names, suffixes
from webhook.admission import Policy, answer, read_review
from webhook.admission.casting import CastPlan
from webhook.admission.plans import MAX_ENTRIES, SIZE
from webhook.admission.shapes import MARK, MAX_SLOTS
from webhook.core import Mirror, MirrorMap, Rule
from webhook.objects import ORIGINAL_IMAGES

TWO = MirrorMap([Rule("docker.io", ["m.example/hub", "n.example"])])
DIGEST = "@sha256:" + "a" * 64
SECRET = MirrorMap([Rule("docker.io", [Mirror("m.example/hub", pull_secrets=("key",))])])
ANNOTATIONS = [
    None,
    {"a": "b"},
    {ORIGINAL_IMAGES: '{"c9":"x"}'},
    {"big": "x" * 262_100},
    [],
]
LISTS = ("containers", "initContainers", "ephemeralContainers")
containers = st.tuples(
    st.sampled_from(LISTS),
    st.sampled_from(["web", "", 'quoted "name"', None, MARK.format(0)]),
    names | st.sampled_from(["", "Bad", "nginx:"]),
    st.sampled_from([None, "Always", "Never"]),
)


class Choice:
    """Takes the candidate of a number."""

    def __init__(self, number):
        self.number = number

    def known(self, decisions):
        return [
            decision._replace(candidate=decision.candidates[self.number]) for decision in decisions
        ]


def pod_of(shape, tags, annotations=None, **spec):
    """A Pod of a shape, each image with a suffix of its own."""
    spec = {field: [] for field in LISTS} | spec
    for number, (field, name, image, policy) in enumerate(shape):
        suffix = tags[number % len(tags)] if tags else ""
        spec[field].append({"name": name, "image": image + suffix, "imagePullPolicy": policy})
    return {"metadata": {"name": "web", "annotations": annotations}, "spec": spec}


def told(pod, policy):
    """All that is told of a Pod: to the API server, and to whom it is noted for."""
    recorder = Recorder()
    answered = answer(json.dumps(review(pod)).encode(), policy, recorder)
    ((_, _, verdict),) = recorder.verdicts
    return (
        answered,
        bytes(verdict.decisions),
        verdict.result,
        verdict.reason,
        verdict.placements,
        [msgspec.to_builtins(operation) for operation in verdict.operations],
        verdict.totals,
        verdict.weight,
        verdict.warning,
    )


def plan_of(pod, policy):
    """The plan for a Pod."""
    return policy.plans.of(read_review(json.dumps(review(pod)).encode())[1].object.spec)


@given(
    maps() | st.just(RULES) | st.just(SECRET),
    st.lists(containers, min_size=1, max_size=4),
    st.lists(st.lists(suffixes, min_size=1, max_size=4), min_size=3, max_size=5),
    st.sampled_from(ANNOTATIONS),
    st.booleans(),
    st.booleans(),
)
@example(RULES, [("containers", "web", "nginx", None)], [[":1"]] * 4, None, False, True)
def test_every_answer_is_what_it_is_without_a_mold(
    rules, shape, builds, annotations, observe, record
):
    used = Policy("default", rules.decide, observe, record)
    for tags in builds:
        pod = pod_of(shape, tags, annotations)
        fresh = Policy("default", rules.decide, observe, record)
        assert told(pod, used) == told(pod, fresh)


usual_containers = st.tuples(
    st.sampled_from(LISTS),
    st.sampled_from(["web", "", 'quoted "name"', None]),
    st.sampled_from(["nginx", "docker.io/a/b", "quay.io/our-team/a", "m.example/hub/x"]),
    st.sampled_from([None, "Always"]),
)


@given(
    st.sampled_from([RULES, SECRET]),
    st.lists(usual_containers, min_size=1, max_size=4),
    st.lists(st.lists(suffixes.filter(bool), min_size=1, max_size=4), min_size=3, max_size=5),
    st.lists(st.sampled_from(ANNOTATIONS), min_size=5, max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_so_it_is_for_the_usual_pods_which_come_from_molds(
    rules, shape, builds, annotations, observe, record
):
    used = Policy("default", rules.decide, observe, record)
    for tags, notes in zip(builds, annotations, strict=False):
        pod = pod_of(shape, tags, notes)
        fresh = Policy("default", rules.decide, observe, record)
        assert told(pod, used) == told(pod, fresh)
    assert isinstance(plan_of(pod_of(shape, [":last"]), used), CastPlan)


def test_who_looks_at_decisions_gets_them_worked_out():
    policy = Policy("default", RULES.decide)
    *_, cast = (plan_of(pod_of(ONE, [tag]), policy) for tag in (":a", ":b", ":1"))
    plan = plan_of(pod_of(ONE, [":1"]), Policy("default", RULES.decide))
    assert isinstance(cast, CastPlan)
    assert not isinstance(plan, CastPlan)
    assert cast.decisions == plan.decisions
    assert cast.placements == plan.placements
    assert cast.chosen(plan.decisions).placements == plan.placements


ONE = [("containers", "web", "nginx", None)]


@pytest.mark.parametrize("suffix", [":1", DIGEST, f":1{DIGEST}"])
def test_the_third_of_a_shape_comes_from_a_mold(suffix):
    policy = Policy("default", RULES.decide)
    for tag in (":a", ":b"):
        told(pod_of(ONE, [tag]), policy)
    pod = pod_of(ONE, [suffix])
    assert isinstance(plan_of(pod, policy), CastPlan)
    assert told(pod, policy)[1:] == told(pod, Policy("default", RULES.decide))[1:]


@pytest.mark.parametrize("bare", ["nginx", "Bad", "", None])
def test_images_without_a_suffix_stay_as_they_are(bare):
    policy = Policy("default", RULES.decide)
    for tag in (":1", ":2", ":3", ":4"):
        pod = pod_of(ONE, [tag], initContainers=[{"name": "first", "image": bare}])
        assert told(pod, policy) == told(pod, Policy("default", RULES.decide))
    assert isinstance(plan_of(pod, policy), CastPlan) is bool(bare)


@pytest.mark.parametrize(
    "pod",
    [
        pod_of(ONE, []),
        pod_of([("containers", "web", "gcr.io/" + "a" * 30, None)], [":1"]),
        pod_of([("containers", "web", "Bad", None)], [":1"]),
        pod_of([("containers", "web", "nginx", "Never")], [":1"]),
        pod_of([("containers", MARK.format(0), "nginx", None)], [":1"]),
        pod_of([*ONE, ("initContainers", "x" * 5000, "nginx", None)], [":1"]),
        pod_of(ONE * (MAX_SLOTS + 1), [":1"]),
        pod_of(ONE, [":1"], volumes=[{"name": "v", "image": {"reference": "a:1"}}]),
        pod_of(ONE, [":1"], containers=[{}]),
    ],
)
def test_what_is_unusual_comes_from_none(pod):
    policy = Policy("default", RULES.decide)
    for build in "234":
        other = json.loads(json.dumps(pod).replace(':1"', f':{build}"'))
        assert not isinstance(plan_of(other, policy), CastPlan)


def test_a_rule_that_says_what_a_mark_says_makes_no_mold():
    regex = rf"docker\.io/(?:{MARK.format(0)})?(.+)"
    rules = MirrorMap([Rule(regex=regex, mirrors=[r"m.example/\1"])])
    used = Policy("default", rules.decide)
    for tag in (":1", ":2", ":3"):
        pod = pod_of(ONE, [tag])
        assert told(pod, used) == told(pod, Policy("default", rules.decide))
        assert not isinstance(plan_of(pod, used), CastPlan)


def test_what_a_pod_has_of_volumes_is_not_kept():
    policy = Policy("default", RULES.decide)
    many = [{"name": "v"}] * (MAX_ENTRIES + 1)
    for tag in (":a", ":b"):
        told(pod_of(ONE, [tag]), policy)
    few, loaded = pod_of(ONE, [":c"]), pod_of(ONE, [":c"], volumes=many)
    for pod in (few, loaded):
        plan_of(pod, policy)
    assert plan_of(few, policy) is plan_of(few, policy)
    assert plan_of(loaded, policy) is not plan_of(loaded, policy)


def test_a_pod_that_comes_again_is_remembered_with_its_words():
    policy, recorder = Policy("default", RULES.decide), Recorder()
    for tag in (":1", ":2", ":3", ":3", ":3", ":3"):
        answer(json.dumps(review(pod_of(ONE, [tag]))).encode(), policy, recorder)
    *_, first, second, third, fourth = [verdict for *_, verdict in recorder.verdicts]
    assert first is not second
    assert second is third is fourth
    assert first.response is not first.response
    assert first.response == second.response
    assert second.response is second.response
    assert first.decisions is not first.decisions
    assert second.decisions is second.decisions


def test_only_the_latest_are_known_to_have_come_before():
    policy = Policy("default", RULES.decide)
    for number in range(3 * SIZE):
        plan_of(pod_of(ONE, [f":{number}"]), policy)
    late, early = (pod_of(ONE, [f":{number}"]) for number in (3 * SIZE - 1, 2))
    assert plan_of(late, policy) is plan_of(late, policy)
    assert plan_of(early, policy) is not plan_of(early, policy)


def test_a_verdict_is_remembered_without_the_rules_that_it_does_not_name():
    mirrors = MirrorMap([Rule("docker.io", ["m.example"])])
    policy, recorder = Policy("default", mirrors.decide), Recorder()
    for tag in (":1", ":2", ":3"):
        answer(json.dumps(review(pod_of(ONE, [tag]))).encode(), policy, recorder)
    rules = weakref.ref(mirrors)
    del mirrors, policy
    gc.collect()
    assert rules() is None
    assert [each[2].placements[0].decision.image for each in recorder.verdicts] == [
        f"m.example/library/nginx:{number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_somebody_who_chooses_chooses_as_without_a_mold(number):
    def policy():
        return Policy("default", TWO.decide, choice=Choice(number))

    used = policy()
    for tag in (":1", ":2", ":3", ":3"):
        pod = pod_of(ONE, [tag])
        assert told(pod, used) == told(pod, policy())
