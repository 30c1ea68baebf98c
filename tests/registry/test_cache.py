from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import Availability
from webhook.registry.cache import ENTRY_BYTES, MAX_BYTES, CheckCache
from webhook.registry.responses import CheckResult, CheckStatus

SETTINGS = Availability(ttl=600.0, negative_ttl=30.0)
THERE, NOT_THERE = CheckResult(CheckStatus.PRESENT), CheckResult(CheckStatus.ABSENT)


def cached(result, entries=100):
    cache = CheckCache(SETTINGS, entries * (ENTRY_BYTES + 1))
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
    cache = cached(THERE, entries=3)
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
    cache, now, last = CheckCache(SETTINGS, 4 * (ENTRY_BYTES + 50)), 0.0, {}
    for name, answer, passed in events:
        now += passed
        result = CheckResult(answer)
        cache.put(name, result, now)
        last.setdefault(name, []).append((result, now))
        known, _ = cache.get(name, now)
        assert len(cache) <= 2 * 4
        assert known is not None
        assert any(known is each for each, _ in last[name])
        if known is not result:
            assert answer.is_failure
            assert known.is_present


@pytest.mark.parametrize("length", [1, 600])
def test_cache_counts_what_its_entries_take(length):
    tracemalloc.start()
    cache = CheckCache(SETTINGS)
    for number in range(20_000):
        image = f"registry.example/team/app-{number}:{'a' * length}"
        for status in (CheckStatus.PRESENT, CheckStatus.ABSENT):
            digest = f"sha256:{number:064}"
            cache.put(f"{image}{status}", CheckResult(status, f"HTTP {number}", digest), 0.0)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 0.95 * 2 * MAX_BYTES < cache.size <= 2 * MAX_BYTES
    assert 0.5 * cache.size < taken < cache.size


def test_made_up_names_do_not_push_out_what_registries_of_rules_have():
    cache = cached(THERE, entries=3)
    for number in range(100):
        cache.put(f"absent{number}", NOT_THERE, 1.0)
        cache.put(f"stranger{number}", THERE, 1.0, is_named=False)

    assert cache.get("a", 1.0)[0] is THERE


def test_last_digest_is_kept_when_the_result_is_over():
    cache = cached(CheckResult(CheckStatus.PRESENT, digest="sha256:1"))
    cache.put("a", CheckResult(CheckStatus.TIMEOUT), 5_000.0)

    assert cache.get("a", 10_000.0) == (None, False)
    assert cache.get_digest("a") == "sha256:1"
    assert cache.get_digest("b") == ""
