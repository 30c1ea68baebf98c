"""Parsing the comments of a values.yaml."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.generate.chart_readme import CHART, format_row
from tests.generate.chart_values import UndocumentedError, Value, parse_values

VALUES = """
# @section -- First
#
# Text that goes over
# two lines.

# -- A number, `1` or
# more.
one: 1

# A plain comment is not part of the README.
group:
  # -- A list.
  # @example
  #   - a: 1
  #     b: 2
  list: []
  # -- Everything below.
  whole:
    a: {b: null}

# @section -- Second

# -- A text.
two: ""
"""


def test_parse_values_returns_section_default_and_example():
    first, second = parse_values(VALUES)
    assert first.title == "First"
    assert first.introduction == "Text that goes over two lines."
    assert first.values == (
        Value("one", "1", "A number, `1` or more.", ""),
        Value("group.list", "[]", "A list.", "- a: 1\n  b: 2"),
        Value("group.whole", '{"a": {"b": null}}', "Everything below.", ""),
    )
    assert (second.title, second.introduction) == ("Second", "")
    assert second.values == (Value("two", '""', "A text.", ""),)


@pytest.mark.parametrize(
    "text",
    [
        "# @section -- A\na: 1\n",
        "# @section -- A\n\n# not a description\na: {}\n",
        "# @section -- A\na:\n  # -- Documented.\n  b: 1\n  c: 2\n",
    ],
)
def test_parse_values_refuses_a_value_without_a_description(text):
    with pytest.raises(UndocumentedError):
        parse_values(text)


def test_format_row_escapes_column_separators():
    assert format_row(Value("a", "1", "x|y", "")) == r"| `a` | `1` | x\|y |"


def test_chart_documents_every_value_in_a_section():
    text = (CHART / "values.yaml").read_text()
    sections = parse_values(text)
    documented = [value for section in sections for value in section.values]
    tops = [value.path.partition(".")[0] for value in documented]
    assert set(tops) == set(yaml.safe_load(text))
    for value in documented:
        assert value.description.endswith((".", ")")), value.path
        json.loads(value.default)


def test_chart_examples_are_yaml_of_the_right_type():
    sections = parse_values((CHART / "values.yaml").read_text())
    examples = [value for section in sections for value in section.values if value.example]
    assert {value.path for value in examples} == {
        "rules",
        "availability",
        "loops",
        "files",
        "policies",
        "delegation",
        "initContainers",
        "extraVolumes",
        "extraVolumeMounts",
        "networkPolicy.reviewsFrom",
        "networkPolicy.cilium.reviewsFrom",
        "autoscaling.behavior",
        "hostAliases",
        "envFrom",
        "monitoring.relabelings",
        "extraObjects",
    }
    for value in examples:
        given = yaml.safe_load(value.example)
        assert type(given) is type(json.loads(value.default))
