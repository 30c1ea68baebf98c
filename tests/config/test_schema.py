"""The JSON schema of the rules file, compared with what the program reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.chart.test_rule_problems import ACCEPTED, REFUSED, load_mistakes
from tests.config.test_documentation import EXAMPLES
from webhook.config import ConfigurationError, parse_rules
from webhook.config.loader import KEYS
from webhook.config.rules import MIRROR_KEYS, RULE_KEYS, TRUSTED_KEYS
from webhook.config.schema import SCHEMA_URL, make_schema
from webhook.config.settings import AVAILABILITY_KEYS, LOOP_KEYS

ROOT = Path(__file__).parents[2]
SCHEMA = make_schema()
PUBLISHED = json.loads((ROOT / "docs/rules.schema.json").read_text())
# What a schema cannot say: about several values, durations, and other files. To Python, $ also
# matches before a line break at the end.
BEYOND = re.compile(
    r"already has|cycle|at most \d+s|has the path|cannot be read|uses group|from the regex|"
    r"needs availability|flatten cannot|refused by RE2|\\n'"
)


def is_valid(file, schema=SCHEMA):
    return jsonschema.Draft7Validator(schema).is_valid(file)


def is_accepted(file):
    try:
        parse_rules(json.dumps(file), "rules.yaml")
    except ConfigurationError:
        return False
    return True


def test_schema_is_a_valid_schema():
    for schema in (SCHEMA, PUBLISHED):
        jsonschema.Draft7Validator.check_schema(schema)
    assert PUBLISHED["$id"] == SCHEMA_URL
    assert SCHEMA_URL.endswith("/docs/rules.schema.json")


@pytest.mark.parametrize(
    ("definition", "keys"),
    [
        ("rule", RULE_KEYS),
        ("mirror", MIRROR_KEYS),
        ("trusted", TRUSTED_KEYS),
        ("availability", AVAILABILITY_KEYS),
        ("loops", LOOP_KEYS),
        ("", KEYS),
    ],
)
def test_schema_has_every_key_with_a_description(definition, keys):
    schema = PUBLISHED["definitions"][definition] if definition else PUBLISHED
    properties = schema.get("anyOf", [schema])[-1]["properties"]
    assert set(properties) == set(keys)
    if definition != "trusted":
        described = {key for key, value in properties.items() if "description" in value}
        assert described | {"availability", "loops", "delegation"} >= set(keys)


@pytest.mark.parametrize("block", [block for block, _ in EXAMPLES])
def test_examples_of_the_documentation_are_valid(block):
    assert is_valid(yaml.safe_load(block))
    assert is_valid(yaml.safe_load(block), PUBLISHED)


@pytest.mark.parametrize("file", ACCEPTED, ids=str)
def test_file_that_the_program_accepts_is_valid(file):
    assert is_valid(file)


def test_file_that_the_program_refuses_is_invalid_unless_a_schema_cannot_say_it():
    refused = [*REFUSED, *(file for _, file in load_mistakes())]
    wrong = []
    for file in refused:
        try:
            parse_rules(json.dumps(file), "rules.yaml")
        except ConfigurationError as error:
            problem = str(error)
            if is_valid(file) and not BEYOND.search(problem):
                wrong.append((file, problem))
    assert not wrong


PARTS = ["a.io", "b.io:5000", "*.c.io", "*", "x", "A", "", "/", "p_q", ":1", "\\1", "localhost"]
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join)
MIRRORS = st.one_of(
    NAMES,
    st.fixed_dictionaries(
        {"target": NAMES},
        optional={"flatten": st.booleans(), "pullSecrets": st.lists(st.sampled_from(["a", "A"]))},
    ),
)
FILES = st.fixed_dictionaries(
    {
        "rules": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "match": NAMES,
                    "regex": st.sampled_from(["(a)", "a.io/(.+)"]),
                    "mirrors": st.lists(MIRRORS, max_size=2),
                    "keep": st.booleans(),
                    "verify": st.just("digest"),
                    "trusted": MIRRORS,
                },
            ),
            max_size=2,
        )
    },
    optional={"availability": st.just({"mode": "check"}), "profiles": st.just(["nju"])},
)


@given(FILES)
def test_schema_refuses_nothing_that_the_program_accepts(file):
    if is_accepted(file):
        assert is_valid(file)


def test_examples_name_the_schema():
    comment = f"# yaml-language-server: $schema={SCHEMA_URL}\n"
    assert comment in (ROOT / "docs/rules.md").read_text()
    assert (ROOT / "tests/demo/rules.yaml").read_text().startswith(comment)
