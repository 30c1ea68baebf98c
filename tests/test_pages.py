"""Every page is Markdown that renders as it was meant."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.site.__main__ import OTHER_PAGES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "charts/mirrorhook/README.md",
]
CELL = re.compile(r"(?<!\\)\|")
RULE = re.compile(r"\|(?: ?:?-+:? ?\|)+")
FENCE = re.compile(r"\s*(```|~~~)")
CODE = re.compile(r"^\s*(```|~~~).*?^\s*\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?:\]\(|^\[[^\]]+\]: )([^)\s#]*)(?:#([^)\s]*))?", re.MULTILINE)
NAMED_TEST = re.compile(r"`(tests/[\w/.]+)(?:::(test_\w+))?(?:\[\w+\])?`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def find_problems(text):
    """Return the number of each line at which a table is broken, with the reason."""
    lines = []
    is_code = False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        lines.append("" if is_code else line)
    assert not is_code, "a fence is not closed"
    problems = []
    number = 0
    for is_row, group in groupby(lines, key=lambda line: line.lstrip().startswith("|")):
        block = list(group)
        number += len(block)
        if not is_row:
            continue
        first = number - len(block)
        if first and lines[first - 1].strip():
            problems.append((first + 1, "text directly above a table"))
        if number < len(lines) and lines[number].strip():
            problems.append((number + 1, "text directly below a table is a row of it"))
        if len(block) < 2 or not RULE.fullmatch(block[1].strip()):
            problems.append((first + 2, "a table without a line below its heading"))
        counts = [len(CELL.findall(row)) for row in block]
        problems += [
            (first + 1 + index, "another number of cells than the heading")
            for index, count in enumerate(counts)
            if count != counts[0]
        ]
    return problems


def find_anchors(page):
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    anchors = set()
    for heading in HEADING.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        anchors.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_a_file_and_a_heading(page):
    for path, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            assert anchor in find_anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(page):
    named = set(NAMED_TEST.findall(page.read_text(encoding="utf-8")))
    assert len(named) > 5 or page.name not in {"security.md", "reliability.md"}
    for path, name in named:
        assert (ROOT / path).exists(), path
        if name:
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^ +- (\S+\.md)$", navigation, re.MULTILINE))
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    english = {page for page in pages if not page.startswith("zh/")}
    assert english | set(OTHER_PAGES.values()) == listed
    assert {page.removeprefix("zh/") for page in pages - english} <= english


def iterate_keys(schema, definitions, path=""):
    """Yield the path of each key of a JSON schema; a policy has those of the file again."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from iterate_keys(each, definitions, path)
    for key, value in schema.get("properties", {}).items():
        yield (below := f"{path}.{key}".lstrip("."))
        if key != "policies":
            yield from iterate_keys(value, definitions, below)
    if isinstance(schema.get("items"), dict):
        yield from iterate_keys(schema["items"], definitions, f"{path}[]")


def test_table_of_keys_has_those_of_the_schema():
    schema = json.loads((ROOT / "docs/rules.schema.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    table = page[page.index("## All keys") : page.index("## match")]
    listed = set(ROW.findall(table)) - {"rules[].mirrors[]"}
    keys = set(iterate_keys(schema, schema["definitions"]))
    # A trusted source has the keys of a mirror, and a LabelSelector is one of Kubernetes.
    others = ("rules[].trusted.", "delegation.namespaces.")
    known = {key for key in keys if not key.startswith(others)}
    # These are only tables of others.
    assert known - {"availability", "delegation", "loops"} == listed


TRANSLATED = sorted((ROOT / "docs/zh").rglob("*.md"))
ROW = re.compile(r"^\| `([\w.\[\]-]+)` \|", re.MULTILINE)


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: str(page.relative_to(ROOT)))
def test_translation_has_the_headings_and_rows_of_the_english_page(page):
    english = ROOT / "docs" / page.relative_to(ROOT / "docs/zh")
    text = page.read_text(encoding="utf-8")
    anchors = set(re.findall(r"^<!-- #(\S+) -->$", text, re.MULTILINE))
    (title,) = re.findall(
        r"^# (.+)$", CODE.sub("", english.read_text(encoding="utf-8")), re.MULTILINE
    )
    assert find_anchors(english) - anchors <= {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    }
    assert set(ROW.findall(text)) == set(ROW.findall(english.read_text(encoding="utf-8")))


def test_questions_lead_to_answers_in_two_clicks():
    questions = (ROOT / "docs/questions.md").read_text(encoding="utf-8")
    assert "(questions.md)" in (ROOT / "docs/index.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (.+) \| \[.+\]\((https://\S+)\) \| \[.+\]\((\S+\.md\S*)\) \|$",
        questions,
        re.MULTILINE,
    )
    assert len(rows) >= 20
    assert len({source for _, source, _ in rows}) == len(rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_of_a_page_are_whole(page):
    assert find_problems(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("| a | b |\n|---|---|\n| 1 | 2 |\nSwallowed.\n", 4),
        ("Swallowing:\n| a |\n|---|\n", 2),
        ("| a | b |\n|---|---|\n| 1 | 2 | 3 |\n", 3),
        ("| a | b |\n| 1 | 2 |\n", 2),
    ],
)
def test_find_problems_finds_a_broken_table(text, line):
    assert [number for number, _ in find_problems(text)] == [line]
