from __future__ import annotations

import pytest

from webhook.core import InvalidRuleError, parse_duration, parse_platform


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64"])
def test_platform_round_trips(text):
    assert str(parse_platform(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/arm/v7/x", "Linux/amd64", "a b/c"])
def test_platform_rejects_invalid_text(text):
    with pytest.raises(InvalidRuleError, match="is not a platform; write os/architecture"):
        parse_platform(text)


@pytest.mark.parametrize(
    ("platform", "image", "expected"),
    [
        ("linux/amd64", ("linux", "amd64", ""), True),
        ("linux/amd64", ("windows", "amd64", ""), False),
        ("linux/arm", ("linux", "arm", "v7"), True),
        ("linux/arm/v7", ("linux", "arm", "v7"), True),
        ("linux/arm/v7", ("linux", "arm", "v6"), False),
        ("linux/arm/v7", ("linux", "arm", ""), False),
    ],
)
def test_platform_covers_platforms_of_images(platform, image, expected):
    assert parse_platform(platform).covers(*image) is expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800ms", 0.8),
        ("1.5s", 1.5),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("0s", 0.0),
        ("", None),
        ("30", None),
        ("-1s", None),
        ("1.s", None),
        ("1d", None),
        ("1s 2s", None),
        ("\u0663s", None),  # a digit, but not of Go
    ],
)
def test_duration_is_read_as_in_go(text, seconds):
    assert parse_duration(text) == seconds
