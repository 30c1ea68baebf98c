"""The page of the console."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from webhook.core import MatchKind, Outcome
from webhook.server.console.i18n import CATALOGUES, Translation, choose_translation
from webhook.server.console.page import PageQuery, find_axis_maximum, render_page
from webhook.server.mirror_health import MirrorState

pytestmark = pytest.mark.anyio
CHINESE = CATALOGUES["zh"]
TEMPLATES = Path(render_page.__code__.co_filename).parent / "templates"
PRESENCES = ("ready", "not-ready", "no-answer")
HOSTILE = "\"><script>alert(1)</script><b a='"
VOID = {"meta", "link", "input"}


class Page(HTMLParser):
    """The elements of a page, and whether they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]

    @property
    def text(self):
        return " ".join(self.words)


async def test_page_shows_everything(console):
    console.review("nginx", "quay.io/our-team/a")
    shown = Page(await console.text(image="bitnami/redis", lang="en"))
    for told in (
        "Ready: this replica gets reviews.",
        "mirrorhook-7d4b9-x2x7k",
        "2027-03-01 00:00:00 UTC",
        "h.example/hub/library/nginx",
        "rule quay.io/our-team keeps it",
        "h.example/hub/bitnamilegacy/redis",
        "by rule docker.io/bitnami",
        "2 rules do not match",
        "100%",
    ):
        assert told in shown.text, told
    assert shown.all("svg")[0]["aria-label"].startswith("Images by minute: 1 rewritten")


async def test_page_escapes_hostile_names(console):
    console.review(HOSTILE, namespace=HOSTILE, name=HOSTILE)
    asked = dict.fromkeys(("image", "text", "outcome", "lang", "policy"), HOSTILE)
    for text in (await console.text(), await console.text(**asked)):
        shown = Page(text)
        assert not shown.all("script") + shown.all("b")
        assert HOSTILE in text.replace("&#34;", '"').replace("&lt;", "<").replace(
            "&gt;", ">"
        ).replace("&#39;", "'")


async def test_page_loads_nothing_from_other_hosts(console):
    answered = await console.ask("/")
    policy = answered.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    shown = Page(answered.text)
    assert {name for name, _ in shown.seen}.isdisjoint({"script", "style", "iframe", "img"})
    for name, attributes in shown.seen:
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        for key in ("href", "src", "action"):
            assert re.match(r"[/#]|data:,$", attributes.get(key, "/")), (name, attributes)
    style = await console.ask("/console.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text
    assert "prefers-color-scheme: dark" in style.text


async def test_page_works_with_keyboard_and_screen_reader(console):
    console.review("nginx")
    shown = Page(await console.text(image="nginx"))
    targets = [attributes["id"] for _, attributes in shown.seen if "id" in attributes]
    assert len(targets) == len(set(targets))
    assert shown.all("a")[0]["href"] == "#main"
    assert "main" in targets
    for part in shown.all("section"):
        assert part["aria-labelledby"] in targets
    labels = len(shown.all("label"))
    fields = [a for a in shown.all("input") if a.get("type") != "hidden"]
    assert labels == len(fields) + len(shown.all("select")) == 5
    for form in shown.all("form"):
        assert form["action"].removeprefix("/#") in targets
    assert len(shown.all("caption")) == len(shown.all("table"))


async def test_form_keeps_the_query_of_the_other_form(console):
    text = await console.text(image="nginx", namespace="shop", lang="zh")
    hidden = [a for a in Page(text).all("input") if a.get("type") == "hidden"]
    kept = [(a["name"], a["value"]) for a in hidden]
    assert sorted(kept) == [
        ("image", "nginx"),
        ("lang", "zh"),
        ("lang", "zh"),
        ("namespace", "shop"),
        ("policy", "default"),
    ]


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "", "en"),
        ("zh", "en", "zh"),
        ("en", "zh-CN,zh;q=0.9", "en"),
        ("xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr, en;q=0.5, zh;q=0.7", "zh"),
        ("", "de-DE,de;q=0.9", "en"),
        ("", "zh;q=0, en", "en"),
        ("", "zh;q=x", "en"),
    ],
)
async def test_page_is_in_the_language_of_the_visitor(console, asked, accepted, language):
    assert choose_translation(asked, accepted).language == language
    headers = {"accept-language": accepted}
    answered = await console.ask("/", params={"lang": asked}, headers=headers)
    assert f'<html lang="{language}">' in answered.text


class Remembering(dict):
    """A catalogue that remembers which texts were asked for."""

    def get(self, english, default=None):
        self.setdefault(english, CHINESE.get(english))
        return default


async def shown_in(table, console, **asked):
    replicas = await console.directory.list_replicas()
    render_page(console.views, replicas, PageQuery(**asked), Translation("zh", table), 100)


async def test_page_has_every_text_in_chinese(console):
    table = Remembering()
    await shown_in(table, console)
    console.review("nginx", "quay.io/our-team/a", dryRun=True)
    for image in ("bitnami/redis", "quay.io/our-team/a", "docker.io/bitnamilegacy/a"):
        await shown_in(table, console, image=image)
    await shown_in(table, console, namespace="nowhere")
    console.readiness.hold("server", "it is shutting down")
    console.rules.refused = ("rules.yaml:1: wrong",)
    await shown_in(table, console, image="h.example/hub/a")
    for value in (*Outcome, *MatchKind, *MirrorState, *PRESENCES):
        table.get(str(value))
    assert [english for english, chinese in table.items() if chinese is None] == []
    assert set(CATALOGUES["en"]) <= set(CHINESE)


def test_templates_have_every_text_in_chinese():
    for template in sorted(TEMPLATES.iterdir()):
        for english in re.findall(r'\bt\("([^"]+)"', template.read_text("utf-8")):
            assert english in CHINESE, template.name


def test_catalogue_has_the_same_braces_in_every_language():
    braces = re.compile(r"\{\w+\}")
    for english, chinese in CHINESE.items():
        assert braces.findall(english) == braces.findall(chinese)


async def test_page_shows_problems_of_readiness_and_rules(console):
    console.readiness.hold("certificate", "it has not been issued yet")
    console.rules.refused = ("rules.yaml:3: unknown key",)
    text = Page(await console.text(namespace="nowhere", lang="en")).text
    assert "certificate: it has not been issued yet" in text
    assert "rules.yaml:3: unknown key" in text
    assert "kubectl label namespace NAMESPACE mirrorhook.io/rewrite=enabled" in text
    assert "static Pods" in text


async def test_page_names_the_policies_when_one_is_unknown(console):
    shown = Page(await console.text(image="a", policy="nope"))
    assert "there is no policy 'nope'; there is: default, team-a" in shown.text


@pytest.mark.parametrize(
    ("value", "most"), [(0, 2), (2, 2), (3, 4), (9, 10), (11, 20), (37, 40), (99, 100)]
)
def test_axis_ends_at_a_round_number(value, most):
    assert find_axis_maximum(value) == most
