from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webhook.registry.circuit_breaker import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    CircuitBreaker,
)


def opened(now=0.0):
    breaker = CircuitBreaker()
    for _ in range(FAILURES_TO_OPEN):
        assert not breaker.is_open
        breaker.record_failure(now)
    return breaker


def test_some_failures_in_a_row_open_it():
    assert opened().is_open


def test_an_answer_among_the_failures_keeps_it_closed():
    breaker = CircuitBreaker()
    for _ in range(100):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.record_failure(0.0)
        breaker.record_success()

    assert not breaker.is_open
    assert breaker.is_idle


def test_after_a_pause_one_trial_is_due_and_no_second_beside_it():
    breaker = opened()

    assert not breaker.is_trial_due(FIRST_PAUSE - 0.1)
    assert breaker.is_trial_due(FIRST_PAUSE)
    breaker.begin_trial()
    assert not breaker.is_trial_due(FIRST_PAUSE + 1000)


def test_a_trial_with_an_answer_closes_it():
    breaker = opened()
    breaker.begin_trial()
    breaker.record_success()

    assert not breaker.is_open
    breaker.record_failure(0.0)
    assert not breaker.is_open


def test_a_trial_without_one_opens_it_for_longer_up_to_a_bound():
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        start = now
        while not breaker.is_trial_due(now):
            now += 0.5
        pauses.append(now - start)
        breaker.begin_trial()
        breaker.record_failure(now, trial=True)

    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert pauses[4:] == [LONGEST_PAUSE] * 4


def test_late_failures_from_before_it_opened_do_not_put_the_trial_off():
    breaker = opened()
    breaker.record_failure(FIRST_PAUSE - 1)

    assert breaker.is_trial_due(FIRST_PAUSE)


@given(st.lists(st.sampled_from(["answer", "failure", "time", "trial"]), max_size=80))
def test_whatever_happened_it_comes_back_with_an_answer(events):
    breaker, now = CircuitBreaker(), 0.0
    for event in events:
        now += 7.0
        if event == "answer":
            breaker.record_success()
        elif event == "failure":
            breaker.record_failure(now)
        elif event == "trial" and breaker.is_trial_due(now):
            breaker.begin_trial()
            breaker.record_failure(now, trial=True)
    if breaker.is_open:
        assert breaker.is_trial_due(now + LONGEST_PAUSE)
    breaker.record_success()
    assert not breaker.is_open
    assert breaker.is_idle
