from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.registry.auth import Challenge, parse_challenges, select_challenge


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [Challenge("basic")]),
        (['Basic realm="Registry Realm"'], [Challenge("basic", "Registry Realm")]),
        (['bAsIc   REALM = "a"'], [Challenge("basic", "a")]),
        (
            [
                (
                    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
                    'scope="repository:library/nginx:pull"'
                )
            ],
            [
                Challenge(
                    "bearer",
                    "https://auth.docker.io/token",
                    "registry.docker.io",
                    "repository:library/nginx:pull",
                )
            ],
        ),
        (
            ['Bearer realm="a", Basic realm="b"'],
            [Challenge("bearer", "a"), Challenge("basic", "b")],
        ),
        (
            ['Basic realm="b"', 'Bearer realm="a"'],
            [Challenge("basic", "b"), Challenge("bearer", "a")],
        ),
        (
            ['Bearer realm="a\\"b,c=\\\\", service=x'],
            [Challenge("bearer", 'a"b,c=\\', "x")],
        ),
        (['Bearer realm="a",realm="b"'], [Challenge("bearer", "a")]),
        (['Bearer realm="a'], [Challenge("bearer")]),
        (["x" * 9000], []),
    ],
)
def test_challenges_are_read_as_rfc_9110_says(headers, expected):
    assert parse_challenges(headers)[: len(expected)] == expected


def test_a_token_is_select_challenge_to_a_password():
    basic, bearer = Challenge("basic", "b"), Challenge("bearer", "a")

    assert select_challenge([basic, bearer]) is bearer
    assert select_challenge([basic]) is basic
    assert select_challenge([Challenge("negotiate")]) is None


@given(st.lists(st.text(max_size=80), max_size=3))
def test_no_header_is_an_error(headers):
    for challenge in parse_challenges(headers):
        assert challenge.scheme
