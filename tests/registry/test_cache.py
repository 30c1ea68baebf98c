from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import Availability
from webhook.registry.cache import CheckCache
from webhook.registry.responses import CheckResult, CheckStatus

SETTINGS = Availability(ttl=600.0, negative_ttl=30.0)
THERE, NOT_THERE = CheckResult(CheckStatus.PRESENT), CheckResult(CheckStatus.ABSENT)


def cached(result, size=100):
    cache = CheckCache(SETTINGS, size)
    cache.put("a", result, 0.0)
    return cache


@pytest.mark.parametrize(
    ("result", "now", "found", "is_stale"),
    [
        (THERE, 599.0, True, False),
        (THERE, 600.0, True, True),
        (THERE, 1199.0, True, True),
        (THERE, 1200.0, False, False),
        (NOT_THERE, 29.0, True, False),
        (NOT_THERE, 30.0, True, True),
        (NOT_THERE, 60.0, False, False),
        (CheckResult(CheckStatus.TIMEOUT), 29.0, True, False),
        (CheckResult(CheckStatus.TIMEOUT), 60.0, False, False),
    ],
)
def test_result_is_fresh_then_stale_then_gone(result, now, found, is_stale):
    assert cached(result).get("a", now) == (result if found else None, is_stale)


@pytest.mark.parametrize("answer", [each for each in CheckStatus if each.is_failure])
def test_failure_does_not_replace_present_image(answer):
    cache = cached(THERE)
    cache.put("a", CheckResult(answer), 700.0)

    assert cache.get("a", 700.0) == (THERE, False)
    assert cache.get("a", 730.0) == (THERE, True)
    assert cache.get("a", 1200.0) == (None, False)


def test_answer_replaces_present_image():
    cache = cached(THERE)
    cache.put("a", NOT_THERE, 700.0)

    assert cache.get("a", 700.0) == (NOT_THERE, False)


def test_cache_drops_least_recently_used():
    cache = cached(THERE, size=3)
    for name in "bcd":
        cache.get("a", 1.0)
        cache.put(name, THERE, 1.0)

    assert [cache.get(name, 1.0)[0] is THERE for name in "abcd"] == [
        True,
        False,
        True,
        True,
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([*CheckStatus]), st.floats(0, 900)),
        max_size=60,
    )
)
def test_cache_is_bounded_and_returns_what_was_put(events):
    cache, now, last = CheckCache(SETTINGS, 4), 0.0, {}
    for name, answer, passed in events:
        now += passed
        result = CheckResult(answer)
        cache.put(name, result, now)
        last.setdefault(name, []).append((result, now))
        known, _ = cache.get(name, now)
        assert len(cache) <= 4
        assert known is not None
        assert any(known is each for each, _ in last[name])
        if known is not result:
            assert answer.is_failure
            assert known.is_present


def memory_after(count):
    tracemalloc.start()
    cache = CheckCache(SETTINGS)
    for number in range(count):
        cache.put(f"registry.example/team/app-{number}:1", CheckResult(CheckStatus.PRESENT), 0.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


def test_cache_memory_is_bounded():
    assert memory_after(40_000) < 1.1 * memory_after(20_000) < 12 * 2**20
