from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webhook.registry.circuit_breaker import (
    FAILURE_SECONDS,
    FAILURES_TO_SUSPECT,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    CircuitBreaker,
)


def suspected(now=0.0):
    breaker = CircuitBreaker()
    for _ in range(FAILURES_TO_SUSPECT):
        assert not breaker.is_trial_due(now)
        breaker.record_failure(now)
    return breaker


def opened(now=0.0):
    breaker = suspected(now)
    breaker.begin_trial()
    breaker.end_trial(now, is_up=False)
    return breaker


def test_breaker_suspects_after_failures_in_a_row():
    breaker = suspected()

    assert breaker.is_trial_due(0.0)
    assert not breaker.is_open


def test_breaker_opens_after_failed_trial():
    assert opened().is_open


def test_breaker_stays_closed_after_successful_trial():
    breaker = suspected()
    breaker.begin_trial()
    breaker.end_trial(0.0, is_up=True)

    assert not breaker.is_open
    assert not breaker.is_trial_due(0.0)


def test_breaker_stays_closed_after_answer_during_trial():
    breaker = suspected()
    breaker.begin_trial()
    breaker.record_success()
    breaker.end_trial(0.0, is_up=False)

    assert not breaker.is_open
    breaker.record_failure(0.0)
    assert not breaker.is_trial_due(0.0)


def test_breaker_suspects_nothing_with_success_between_failures():
    breaker = CircuitBreaker()
    for _ in range(100):
        for _ in range(FAILURES_TO_SUSPECT - 1):
            breaker.record_failure(0.0)
        breaker.record_success()

    assert not breaker.is_trial_due(0.0)


def test_breaker_forgets_old_failures():
    breaker, now = CircuitBreaker(), 0.0
    for _ in range(100):
        now += FAILURE_SECONDS + 1
        breaker.record_failure(now)

    assert not breaker.is_trial_due(now)


def test_breaker_allows_one_trial_after_pause():
    breaker = opened()

    assert not breaker.is_trial_due(FIRST_PAUSE - 0.1)
    assert breaker.is_trial_due(FIRST_PAUSE)
    breaker.begin_trial()
    assert not breaker.is_trial_due(FIRST_PAUSE + 1000)


def test_breaker_closes_after_successful_trial():
    breaker = opened()
    breaker.begin_trial()
    breaker.end_trial(FIRST_PAUSE, is_up=True)

    assert not breaker.is_open
    breaker.record_failure(0.0)
    assert not breaker.is_trial_due(0.0)


def test_breaker_pauses_longer_after_each_failed_trial():
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        start = now
        while not breaker.is_trial_due(now):
            now += 0.5
        pauses.append(now - start)
        breaker.begin_trial()
        breaker.end_trial(now, is_up=False)

    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert pauses[4:] == [LONGEST_PAUSE] * 4


def test_breaker_ignores_late_failures():
    breaker = opened()
    breaker.record_failure(FIRST_PAUSE - 1)

    assert breaker.is_trial_due(FIRST_PAUSE)


@given(st.lists(st.sampled_from(["answer", "failure", "time", "trial"]), max_size=80))
def test_breaker_always_recovers(events):
    breaker, now = CircuitBreaker(), 0.0
    for event in events:
        now += 7.0
        if event == "answer":
            breaker.record_success()
        elif event == "failure":
            breaker.record_failure(now)
        elif event == "trial" and breaker.is_trial_due(now):
            breaker.begin_trial()
            breaker.end_trial(now, is_up=False)
    if breaker.is_open:
        assert breaker.is_trial_due(now + LONGEST_PAUSE)
    breaker.record_success()
    assert not breaker.is_open
    assert not breaker.is_trial_due(now)
