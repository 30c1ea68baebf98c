"""What is remembered of images and Pods, and that nobody can tell by the answers."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.conftest import RULES, Asked, Recorder, review
from webhook.admission import Policy, answer, remembered
from webhook.admission.memory import MAX_LENGTH, SIZE, Memory, following
from webhook.admission.plans import SIZE as PODS
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


class Deciding:
    """Counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, image):
        self.asked.append(image)
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


def test_the_latest_are_remembered_and_others_forgotten():
    memory = Memory(3)
    for number in range(3):
        memory.keep(number, str(number))
    memory.recall(0)
    for number in range(3, 6):
        memory.recall(0)
        memory.keep(number, str(number))
    assert memory.recall(0) == "0"
    assert [memory.recall(number) for number in (1, 2)] == [None, None]


@given(st.lists(st.integers(0, 30), max_size=200))
def test_a_memory_holds_no_more_than_two_generations_and_never_errs(keys):
    memory = Memory(5)
    for key in keys:
        known = memory.recall(key)
        assert known in (None, str(key))
        if known is None:
            memory.keep(key, str(key))
        assert memory.recall(key) == str(key)
        assert len(memory) <= 10


def test_an_image_is_decided_on_once():
    deciding = Deciding()
    decide = remembered(deciding)
    assert decide("nginx") is decide("nginx")
    assert deciding.asked == ["nginx"]
    long = "x" * (MAX_LENGTH + 1)
    assert decide(long) == decide(long)
    assert deciding.asked[1:] == [long, long]


def test_no_more_images_are_remembered_than_there_is_room_for():
    deciding = Deciding()
    decide = remembered(deciding)
    for number in range(2 * SIZE + 1):
        decide(f"a{number}")
    decide("a0")
    assert len(deciding.asked) == 2 * SIZE + 2


def test_new_builds_of_an_image_are_decided_on_by_its_name():
    deciding = Deciding()
    decide = following(deciding)
    digest = "@sha256:" + "a" * 64
    suffixes = (":1", ":2", digest, f":3{digest}")
    assert [decide(f"nginx{each}").image for each in suffixes] == [
        RULES.decide(f"nginx{each}").image for each in suffixes
    ]
    assert deciding.asked == ["nginx:1"]


@pytest.mark.parametrize(
    "image", ["nginx", "nginx:", "nginx:a b", "nginx@sha256:a", "host:5000/app", "x" * 999]
)
def test_what_is_no_new_build_is_decided_on_by_itself(image):
    deciding = Deciding()
    decide = following(deciding)
    decide("nginx:1")
    decide("host:1")
    for _ in range(2):
        assert decide(image) == RULES.decide(image)
    assert deciding.asked[2:] == [image, image]


def test_a_pod_with_the_same_images_is_worked_out_once():
    deciding = Deciding()
    policy = Policy("default", deciding)
    for number in range(3):
        token = {"name": f"kube-api-access-{number}", "projected": {"sources": []}}
        pod = pod_of("nginx", volumes=[token])
        answer(json.dumps(review(pod)).encode(), policy, Recorder())
    assert deciding.asked == ["nginx"]


def test_images_of_volumes_are_told_apart_by_their_place():
    policy = Policy("default", RULES.decide)
    image = {"name": "model", "image": {"reference": "nginx"}}
    other = {"name": "other", "emptyDir": {}}
    first = Asked(review(pod_of(volumes=[other, image])), policy)
    second = Asked(review(pod_of(volumes=[image, other])), policy)
    assert [*first.replaced] == ["/spec/volumes/1/image/reference"]
    assert [*second.replaced] == ["/spec/volumes/0/image/reference"]


@pytest.mark.parametrize("long", ["nginx" + "x" * 100, "a/" + "b" * 5000])
def test_a_pod_of_long_names_is_not_remembered(long):
    deciding = Deciding()
    policy = Policy("default", deciding)
    pod = pod_of(*[long] * 50)
    for _ in range(2):
        answer(json.dumps(review(pod)).encode(), policy, Recorder())
    assert len(deciding.asked) == 100


HIDDEN = {
    "a container": {"containers": [{"name": "x" * 9999}, {"name": "a", "image": "nginx"}]},
    "a policy": {"containers": [{"name": "a", "image": "nginx", "imagePullPolicy": "x" * 9999}]},
    "a volume": {
        "containers": [{"name": "a", "image": "nginx"}],
        "volumes": [{"name": "x" * 9999, "image": {"reference": "nginx"}}],
    },
    "a secret": {
        "containers": [{"name": "a", "image": "nginx"}],
        "imagePullSecrets": [{"name": "x" * 9999}],
    },
    "volumes": {
        "containers": [{"name": "a", "image": "nginx"}],
        "volumes": [{"name": "v"}] * 300,
    },
    "containers": {
        "containers": [{}, {"name": "a", "image": "nginx"}],
        "volumes": [{"name": "v", "image": {"reference": "nginx"}}],
    },
}


@pytest.mark.parametrize("place", HIDDEN)
def test_nothing_large_is_remembered_wherever_it_hides(place):
    deciding = Deciding()
    policy = Policy("default", deciding)
    pod = {"metadata": {"name": "web"}, "spec": HIDDEN[place]}
    for _ in range(2):
        answer(json.dumps(review(pod)).encode(), policy, Recorder())
    once = deciding.asked[: len(deciding.asked) // 2]
    assert deciding.asked == once * 2


def test_the_name_of_a_volume_without_an_image_is_not_kept():
    deciding = Deciding()
    policy = Policy("default", deciding)
    for name in ("x" * 9999, "y" * 9999):
        pod = pod_of("nginx", volumes=[{"name": name, "image": {"pullPolicy": "Never"}}])
        answer(json.dumps(review(pod)).encode(), policy, Recorder())
    assert deciding.asked == ["nginx"]


def test_no_more_pods_are_remembered_than_there_is_room_for():
    deciding = Deciding()
    policy = Policy("default", deciding)
    for number in [*range(2 * PODS + 1), 0]:
        answer(json.dumps(review(pod_of(f"a{number}"))).encode(), policy, Recorder())
    assert len(deciding.asked) == 2 * PODS + 2


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
def test_an_answer_does_not_depend_on_what_was_asked_before(asked, observe, record):
    used = Policy("default", RULES.decide, observe, record)
    for pod, operation, ephemeral in asked:
        request = {"operation": operation}
        if operation == "UPDATE":
            request["oldObject"] = pod_of("old")
        if ephemeral:
            request["subResource"] = "ephemeralcontainers"
        given_ = copy.deepcopy(review(pod, **request))
        fresh = Policy("default", RULES.decide, observe, record)
        assert Asked(given_, used).answer == Asked(given_, fresh).answer
