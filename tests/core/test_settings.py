from __future__ import annotations

import pytest

from webhook.core import InvalidRuleError, Mirror, Rule, parse_platform


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64"])
def test_platform_round_trips(text):
    assert str(parse_platform(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/arm/v7/x", "Linux/amd64", "a b/c"])
def test_platform_rejects_invalid_text(text):
    with pytest.raises(InvalidRuleError, match="is not a platform; write os/architecture"):
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
def test_rule_rejects_invalid_verify_options(options, field):
    with pytest.raises(InvalidRuleError) as caught:
        Rule("docker.io", **options)

    assert caught.value.field == field
