from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kube.collection_api import PATH, make_client, serve_collection
from tests.tools.waiting import until
from webhook.kube.reflector import Reflector, ReflectorPace

pytestmark = pytest.mark.anyio

FAST = ReflectorPace(first=0.001, longest=0.01)
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.fixture
def served():
    with serve_collection() as served:
        yield served


@pytest.fixture
def collection(served):
    return served[0]


@pytest.fixture
def reflector(served):
    return make_reflector(served[1])


def make_reflector(address, on_change=lambda: None, **options):
    client = make_client(address)
    options = {"pace": FAST, **options}
    return Reflector(client, PATH, lambda content, _: content.get("value"), on_change, **options)


def get_values(reflector):
    return {f"{key.namespace}/{key.name}": each for key, each in reflector.get_objects().items()}


def count_lists(collection):
    """Return how many times all objects were listed."""
    return sum("watch" not in each and "continue" not in each for each in collection.requests)


def count_watches(collection):
    return sum("watch" in each for each in collection.requests)


async def test_reflector_lists_all_pages(collection, reflector):
    collection.page = 2
    for number in range(5):
        collection.put(f"o{number}", "shop", value=number)
    with reflector:
        await until(lambda: reflector.synced)
        assert get_values(reflector) == {f"shop/o{n}": n for n in range(5)}
        await until(lambda: collection.watches)
    assert [each.get("continue", "") for each in collection.requests[:3]] == ["", "105-3", "105-1"]
    watch = collection.requests[3]
    assert watch["resourceVersion"] == "105"
    assert watch["allowWatchBookmarks"] == "true"
    assert 240 <= int(watch["timeoutSeconds"]) <= 480


async def test_reflector_follows_changes(collection, reflector):
    collection.put("a", value=1)
    with reflector:
        await until(lambda: collection.watches)
        for change, values in (
            (lambda: collection.put("b", "shop", value=2), {"/a": 1, "shop/b": 2}),
            (lambda: collection.put("a", value=3), {"/a": 3, "shop/b": 2}),
            (lambda: collection.remove("b", "shop"), {"/a": 3}),
            (lambda: collection.put("b", "shop", value=4), {"/a": 3, "shop/b": 4}),
        ):
            change()
            await until(lambda values=values: get_values(reflector) == values)
    assert count_lists(collection) == 1


async def test_reflector_reports_changes_in_the_event_loop(served, collection):
    loop, calls = asyncio.get_running_loop(), []

    def note():
        assert asyncio.get_running_loop() is loop
        calls.append(1)

    with make_reflector(served[1], note):
        await until(lambda: collection.watches and calls)
        before = len(calls)
        collection.put("a", value=1)
        await until(lambda: len(calls) == before + 1)
        collection.bookmark()
        collection.put("b", value=1)
        await until(lambda: len(calls) == before + 2)


async def test_watch_is_resumed_from_the_last_event_or_bookmark(collection, reflector):
    with reflector:
        await until(lambda: collection.watches)
        collection.put("a", value=1)
        await until(lambda: get_values(reflector))
        collection.bookmark()
        collection.put("b", value=1)
        await until(lambda: len(get_values(reflector)) == 2)
        collection.end_watches()
        await until(lambda: count_watches(collection) > 1)
        await until(lambda: collection.watches)
    assert [each["resourceVersion"] for each in collection.requests[1:3]] == ["100", "103"]
    assert count_lists(collection) == 1


async def test_bookmark_makes_a_list_unnecessary(collection, reflector):
    with reflector:
        await until(lambda: collection.watches)
        collection.bookmark()
        collection.end_watches()
        await until(lambda: count_watches(collection) > 1 and collection.watches)
        collection.compact()  # up to the bookmark
        collection.put("a", value=1)
        await until(lambda: get_values(reflector))
    assert count_lists(collection) == 1


async def test_expired_watch_lists_again(collection, reflector):
    collection.put("gone", value=1)
    with reflector:
        await until(lambda: collection.watches)
        collection.faults[:] = ["drop"] * 10_000  # nothing of this is seen
        collection.end_watches()
        await until(lambda: not collection.watches)
        collection.remove("gone")
        collection.put("new", value=2)
        collection.compact()
        collection.faults.clear()
        await until(lambda: get_values(reflector) == {"/new": 2})
        await until(lambda: collection.watches and not reflector.problem)
    assert count_lists(collection) == 2


@pytest.mark.parametrize(
    ("code", "lists"),
    [(410, 2), (403, 2), (400, 2), (500, 1), (504, 1), (429, 1)],
)
async def test_event_of_an_error_ends_the_watch(collection, reflector, code, lists):
    with reflector:
        await until(lambda: collection.watches)
        collection.fail_watches(code=code, message="so it is")
        collection.put("a", value=1)
        await until(lambda: get_values(reflector))
        await until(lambda: not reflector.problem)
    assert count_lists(collection) == lists


async def test_list_is_begun_again_if_its_rest_has_expired(collection, reflector):
    collection.page = 1
    collection.put("a", value=1)
    collection.put("b", value=2)
    collection.faults[:] = [None, 410]
    with reflector:
        await until(lambda: reflector.synced)
        assert get_values(reflector) == {"/a": 1, "/b": 2}
    assert "continue" not in collection.requests[2]


@pytest.mark.parametrize("fault", ["drop", "half", 500, 429, 403, 401])
async def test_objects_stay_while_the_api_server_fails(collection, reflector, fault):
    collection.put("a", value=1)
    with reflector:
        await until(lambda: collection.watches)
        collection.faults[:] = [fault] * 10_000
        collection.end_watches()
        await until(lambda: reflector.problem)
        assert get_values(reflector) == {"/a": 1}
        assert reflector.synced
        collection.put("b", value=2)
        collection.faults.clear()
        await until(lambda: get_values(reflector) == {"/a": 1, "/b": 2})
        await until(lambda: not reflector.problem)


@pytest.mark.parametrize("fault", ["drop", "half", 500, 403])
async def test_reflector_is_not_synced_before_the_first_list(collection, reflector, fault):
    collection.put("a", value=1)
    collection.faults[:] = [fault] * 10_000
    with reflector:
        await until(lambda: reflector.problem and len(collection.requests) > 3)
        assert not reflector.synced
        collection.faults.clear()
        await until(lambda: get_values(reflector) == {"/a": 1})


async def test_missing_kind_has_no_objects_until_it_appears(collection, reflector):
    collection.exists = False
    with reflector:
        await until(lambda: reflector.synced)
        assert "could not find the requested resource" in reflector.problem
        assert get_values(reflector) == {}
        collection.put("a", value=1)
        collection.exists = True
        await until(lambda: get_values(reflector) == {"/a": 1})
        await until(lambda: not reflector.problem)
        collection.exists = False
        collection.end_watches()
        await until(lambda: get_values(reflector) == {})


async def test_answer_of_another_shape_is_a_problem(collection, reflector):
    collection.objects["", "odd"] = {"kind": "Odd"}
    with reflector:
        await until(lambda: "unexpected answer: KeyError('metadata')" in reflector.problem)
        assert not reflector.synced
        del collection.objects["", "odd"]
        await until(lambda: reflector.synced and not reflector.problem)


async def test_reflector_can_ask_for_metadata_only(served, collection):
    with make_reflector(served[1], metadata_only=True):
        await until(lambda: collection.watches)
    accepted = [each["accept"] for each in collection.requests[:2]]
    assert accepted == [METADATA_LIST, METADATA_LIST.replace("List", "")]


async def test_reflector_ends_with_its_block(collection, reflector):
    with reflector:
        await until(lambda: collection.watches)
    while collection.watches:
        collection.put("a", value=1)  # the server notices when it writes
        await asyncio.sleep(0.01)
    count = len(collection.requests)
    await asyncio.sleep(0.05)
    assert len(collection.requests) == count
    assert get_values(reflector) == {}


def test_pause_is_doubled_and_has_jitter():
    pace = ReflectorPace()
    for failures, most in [(0, 1), (1, 2), (4, 16), (5, 30), (1000, 30)]:
        pauses = [pace.get_pause(failures) for _ in range(100)]
        assert most / 2 <= min(pauses) < max(pauses) <= most


NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.integers()),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.sampled_from(["bookmark", "compact", "end", "pause", "wait"])),
    st.tuples(st.just("error"), st.sampled_from([410, 403, 500, 429])),
    st.tuples(st.just("fault"), st.sampled_from(["drop", "half", 410, 403, 500, 404])),
)


def take_step(collection, name, *arguments):
    match name:
        case "put":
            collection.put(arguments[0], value=arguments[1])
        case "remove" if ("", arguments[0]) in collection.objects:
            collection.remove(arguments[0])
        case "bookmark":
            collection.bookmark()
        case "compact":
            collection.compact()
        case "end":
            collection.end_watches()
        case "error":
            collection.fail_watches(code=arguments[0], message="so it is")
        case "fault":
            collection.faults.append(arguments[0])


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_reflector_comes_to_have_what_the_api_server_has(steps):
    async def follow():
        with serve_collection() as (collection, address):
            collection.page = 2
            reflector = make_reflector(address)
            with reflector:
                for step in steps:
                    take_step(collection, *step)
                    if step[0] == "pause":
                        await asyncio.sleep(0.003)
                    elif step[0] == "wait":
                        await until(lambda: collection.watches)
                collection.faults.clear()
                collection.end_watches()
                expected = {
                    f"/{name}": each["value"] for (_, name), each in collection.objects.items()
                }
                await until(lambda: get_values(reflector) == expected)

    asyncio.run(follow())
