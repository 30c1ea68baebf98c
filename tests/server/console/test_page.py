"""The page of the console."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.server.console.conftest import Console
from webhook.admission import ReviewOutcome
from webhook.core import NEXT_STEPS, MatchKind, Outcome
from webhook.server.console.answers import READ_THE_LOG, REMOVE_OPT_OUT, make_answer
from webhook.server.console.i18n import CATALOGUES, Translation, choose_translation
from webhook.server.console.page import PageQuery, find_axis_maximum, render_page
from webhook.server.console.reasons import translate_reason
from webhook.server.mirror_health import MirrorState
from webhook.server.pod_query import PodQuery

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
    assert labels == len(fields) + len(shown.all("select")) == 4
    for form in shown.all("form"):
        assert form["action"].removeprefix("/#") in targets
    assert len(shown.all("caption")) == len(shown.all("table"))


async def test_search_comes_first_and_needs_one_field(console):
    shown = Page(await console.text())
    assert shown.all("section")[0]["aria-labelledby"] == "search"
    first = next(a["name"] for a in shown.all("input") if a.get("type") != "hidden")
    assert first == "text"


async def test_image_form_and_languages_keep_the_search(console):
    shown = Page(await console.text(text="shop/web", lang="zh"))
    hidden = [a for a in shown.all("input") if a.get("type") == "hidden"]
    kept = [(a["name"], a["value"]) for a in hidden]
    assert sorted(kept) == [("lang", "zh"), ("lang", "zh"), ("text", "shop/web")]
    languages = [a["href"] for a in shown.all("a") if "hreflang" in a]
    assert languages == ["/?lang=en&text=shop%2Fweb", "/?lang=zh&text=shop%2Fweb"]


async def test_pod_is_one_row_with_its_images_below(console):
    images = [f"quay.io/our-team/app{n}" for n in range(22)]
    console.review(*images)
    shown = Page(await console.text(lang="en"))
    assert len(shown.all("article")) == 1
    assert len([a for a in shown.all("ul") if a.get("class") == "images"]) == 2
    for number in range(22):
        assert f"quay.io/our-team/app{number}" in shown.text
    assert "14 more images" in shown.text
    assert re.search(r"Policy\s+default", shown.text)


async def test_name_that_fits_pods_of_several_namespaces_is_pointed_out(console):
    for namespace in ("blog", "shop"):
        console.create("web-7d4b9c6f5-", namespace=namespace)
    several = Page(await console.text(text="web-7d4b9c6f5-x2x7k", lang="en")).text
    assert "This name fits Pods of 2 namespaces: search for NAMESPACE/NAME." in several
    one = Page(await console.text(text="shop/web-7d4b9c6f5-x2x7k", lang="en"))
    assert len(one.all("article")) == 1
    assert "This name fits" not in one.text


async def test_page_says_as_of_when_and_since_when_it_knows(console):
    console.now += 75
    console.create("web-0")
    text = Page(await console.text(text="shop/web-0", lang="en")).text
    assert re.search(r"As of\s+2027-01-15 08:01:15 UTC", text)
    assert re.search(r"All reviews are known since\s+2027-01-15 08:00:00 UTC", text)
    assert "Decisions of this replica only" in text


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        ("nginx:1.27", True),
        ("ghcr.io/a/b", True),
        ("localhost/a", True),
        ("a@sha256:" + "0" * 64, True),
        ("web-7d4b9c6f5-x2x7k", False),
        ("shop/web-0", False),
        ("deployment.apps/web", True),
        ("-n shop web", False),
        ("nginx:" + "1" * 1024, False),
        ("", False),
    ],
)
async def test_text_that_is_an_image_is_explained_too(console, text, explained):
    shown = Page(await console.text(text=text, lang="en"))
    assert bool([a for a in shown.all("div") if a.get("class") == "answer"]) is explained


async def test_one_rule_is_not_some_rules():
    text = Page(await Console("rules: [{match: quay.io, mirrors: [h.example]}]").text()).text
    assert "1 rule" in text
    assert "1 rules" not in text


async def test_rules_are_paged_without_scripts():
    many = "".join(f"  - {{match: r{n}.example, mirrors: [h.example]}}\n" for n in range(120))
    console = Console(f"rules:\n{many}")
    address, seen = "/?lang=en&text=web", []
    while address:
        shown = Page((await console.ask(address)).text)
        seen += re.findall(r"\br(\d+)\.example", shown.text)
        address = next((a["href"] for a in shown.all("a") if a.get("rel") == "next"), "")
        assert not address or "text=web" in address
    assert seen == [str(n) for n in range(120)]
    shown = Page(await console.text(rule="r11", lang="en"))
    assert "r110.example" in shown.text
    assert "r12.example" not in shown.text


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


async def shown_in(table, console, answer=None, **asked):
    replicas = await console.directory.list_replicas()
    if answer is None:
        result = await console.directory.find_pods(PodQuery(asked.get("text", "")))
        answer = make_answer(result, datetime.now(UTC), {}, "")
    render_page(console.views, replicas, answer, PageQuery(**asked), Translation("zh", table))


async def test_page_has_every_text_in_chinese(console):
    table = Remembering()
    await shown_in(table, console)
    console.review("nginx", "quay.io/our-team/a", dryRun=True)
    for image in ("bitnami/redis", "quay.io/our-team/a", "docker.io/bitnamilegacy/a"):
        await shown_in(table, console, image=image)
    await shown_in(table, console, text="nowhere")
    console.readiness.hold("server", "it is shutting down")
    console.rules.refused = ("rules.yaml:1: wrong",)
    await shown_in(table, console, image="h.example/hub/a")
    values = (*Outcome, *ReviewOutcome, *MatchKind, *MirrorState, *PRESENCES)
    for text in (*map(str, values), *NEXT_STEPS.values(), REMOVE_OPT_OUT, READ_THE_LOG):
        table.get(text)
    missing = {english for english, chinese in table.items() if chinese is None}
    # What is not a text of the page: a reason, or a value in the English catalogue's place.
    reasons = {each for each in missing if translate_reason("zh", each) != each}
    assert missing - reasons == set()
    assert set(CATALOGUES["en"]) <= set(CHINESE)


def test_templates_have_every_text_in_chinese():
    for template in sorted(TEMPLATES.iterdir()):
        for english in re.findall(r'\bt\("([^"]+)"', template.read_text("utf-8")):
            assert english in CHINESE, template.name


def test_catalogue_has_the_same_braces_in_every_language():
    braces = re.compile(r"\{\w+\}")
    for english, chinese in CHINESE.items():
        assert sorted(braces.findall(english)) == sorted(braces.findall(chinese))


async def test_page_shows_problems_of_readiness_and_rules(console):
    console.readiness.hold("certificate", "it has not been issued yet")
    console.rules.refused = ("rules.yaml:3: unknown key",)
    text = Page(await console.text(text="nowhere", lang="en")).text
    assert "certificate: it has not been issued yet" in text
    assert "rules.yaml:3: unknown key" in text
    assert "kubectl label namespace NAMESPACE mirrorhook.io/rewrite=enabled" in text
    assert "static Pod" in text


async def test_page_names_the_policies_when_one_is_unknown(console):
    shown = Page(await console.text(image="a", policy="nope"))
    assert "there is no policy 'nope'; there is: default, team-a" in shown.text


@pytest.mark.parametrize(
    ("value", "most"), [(0, 2), (2, 2), (3, 4), (9, 10), (11, 20), (37, 40), (99, 100)]
)
def test_axis_ends_at_a_round_number(value, most):
    assert find_axis_maximum(value) == most
