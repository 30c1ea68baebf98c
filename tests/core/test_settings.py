from __future__ import annotations

import pytest

from webhook.core import InvalidRuleError, Mirror, Rule, parse_platform


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64"])
def test_a_platform_is_written_as_it_is_read(text):
    assert str(parse_platform(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/arm/v7/x", "Linux/amd64", "a b/c"])
def test_a_text_that_is_no_platform_is_refused(text):
    with pytest.raises(InvalidRuleError, match="is no platform; write os/architecture"):
        parse_platform(text)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"mirrors": ["m.example"], "trusted": Mirror("t.example")}, "trusted"),
        ({"keep": True, "verify": True}, "verify"),
        (
            {"mirrors": ["m.example"], "verify": True, "trusted": Mirror(r"t.example/\1")},
            "trusted",
        ),
    ],
)
def test_a_rule_verifies_what_it_rewrites_or_nothing(options, field):
    with pytest.raises(InvalidRuleError) as caught:
        Rule("docker.io", **options)

    assert caught.value.field == field
