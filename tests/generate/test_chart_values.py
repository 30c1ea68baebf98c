"""Reading the comments of a values.yaml."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.generate.chart_readme import CHART, row
from tests.generate.chart_values import UndocumentedError, Value, read

VALUES = """
# @section -- First
#
# Text that goes over
# two lines.

# -- A number, `1` or
# more.
one: 1

# A plain comment says nothing to readers of the README.
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


def test_values_are_read_with_section_default_and_example():
    first, second = read(VALUES)
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
def test_a_value_without_a_description_is_an_error(text):
    with pytest.raises(UndocumentedError):
        read(text)


def test_a_row_survives_what_markdown_would_split():
    assert row(Value("a", "1", "x|y", "")) == r"| `a` | `1` | x\|y |"


def test_every_value_of_the_chart_is_in_a_section():
    text = (CHART / "values.yaml").read_text()
    sections = read(text)
    documented = [value for section in sections for value in section.values]
    tops = [value.path.partition(".")[0] for value in documented]
    assert set(tops) == set(yaml.safe_load(text))
    for value in documented:
        assert value.description.endswith((".", ")")), value.path
        json.loads(value.default)


def test_every_example_of_the_chart_is_yaml_of_the_right_type():
    sections = read((CHART / "values.yaml").read_text())
    examples = [value for section in sections for value in section.values if value.example]
    assert {value.path for value in examples} == {
        "rules",
        "availability",
        "loops",
        "files",
        "policies",
        "extraVolumes",
        "extraVolumeMounts",
    }
    for value in examples:
        given = yaml.safe_load(value.example)
        assert type(given) is type(json.loads(value.default))
