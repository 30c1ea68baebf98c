"""The documentation site: what its pages load, where they lead, and what its search finds."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.site.__main__ import LANGUAGES, ROOT, build, list_versions, map_pages, move_links
from tests.site.screenshots import SIZE, take

NODE = shutil.which("node")
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for language in LANGUAGES:
        place = folder / "site/1.0" if language == "en" else folder / "site/1.0" / language
        build(language, folder / language, place)
    list_versions(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}


class Loader(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.loaded = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "link" and found.get("rel") in {"canonical", "alternate", "prev", "next", "edit"}:
            return
        self.loaded += [value for name, value in attributes if (tag, name) in LOADED]


def test_no_page_loads_anything_from_another_host(site, pages):
    assert len(pages) > 100
    for name, text in pages.items():
        loader = Loader()
        loader.feed(text)
        assert [each for each in loader.loaded if re.match(r"(https?:)?//", each)] == [], name
        # The theme fetches these when a page needs them.
        assert 'data-md-component="source"' not in text, name
        assert 'class="mermaid"' not in text, name
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()) == []


def test_every_page_can_be_edited_where_it_is_kept(pages):
    edits = {
        name: re.findall(r"/edit/main/([^\"]+)", text)
        for name, text in pages.items()
        if name.endswith("index.html") and name != "index.html"
    }
    for name, paths in edits.items():
        assert len(paths) == 1, name
        assert (ROOT / paths[0]).exists(), paths
    assert edits["1.0/zh/tutorial/index.html"] == ["docs/zh/tutorial.md"]
    assert edits["1.0/contributing/index.html"] == ["CONTRIBUTING.md"]


def test_chinese_page_takes_the_place_of_the_english_one(pages):
    assert '<html lang="zh"' in pages["1.0/zh/howto/china/index.html"]
    assert "公共镜像站" in pages["1.0/zh/howto/china/index.html"]
    assert "Harbor as the mirror" in pages["1.0/zh/howto/harbor/index.html"]
    assert "公共镜像站" not in pages["1.0/howto/china/index.html"]


def test_bar_in_a_cell_is_shown_as_one(pages):
    page = pages["1.0/reference/commands/index.html"]
    assert "[table|json]" in page
    assert "\\|" not in page


def test_another_language_is_the_same_page(site, pages):
    for name, text in pages.items():
        if not name.endswith("index.html") or name == "index.html":
            continue
        found = re.findall(r'href="([^"]*)" hreflang="(\w+)" class="md-select__link"', text)
        assert [language for _, language in found] == ["en", "zh"], name
        targets = [((site / name).parent / href / "index.html").resolve() for href, _ in found]
        assert all(target.exists() for target in targets), name
        parts = [target.relative_to(site.resolve()).as_posix() for target in targets]
        assert parts[1] == parts[0].replace("1.0/", "1.0/zh/", 1)
        assert name in parts


def test_light_and_dark_mode_follow_the_system(pages):
    page = pages["1.0/index.html"]
    assert '(prefers-color-scheme: dark)" data-md-color-scheme="slate"' in page
    assert '(prefers-color-scheme: light)" data-md-color-scheme="default"' in page


def test_versions_are_listed_newest_first(site, tmp_path):
    for name in ("0.9", "0.10", "1.0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").touch()
    list_versions(tmp_path)
    listed = json.loads((tmp_path / "versions.json").read_text())
    assert [each["version"] for each in listed] == ["1.0", "0.10", "0.9"]
    assert [each["aliases"] for each in listed] == [["latest"], [], []]
    chinese = json.loads((tmp_path / "0.9/versions.json").read_text())
    assert [each["version"] for each in chinese] == ["../1.0/zh", "../0.10/zh", "../0.9/zh"]
    assert [each["aliases"] for each in chinese] == [[], [], ["zh"]]
    assert "url=1.0/" in (tmp_path / "index.html").read_text()
    assert (site / "1.0/zh/index.html").exists()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not here")
def test_pictures_of_the_console_can_be_taken_again(tmp_path):
    for picture in take(tmp_path):
        png = picture.read_bytes()
        assert struct.unpack(">II", png[16:24]) == SIZE
        # A blank page compresses to a few kilobytes.
        assert len(png) > 50_000
        assert (ROOT / "docs/images" / picture.name).exists()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, *_):
        pass


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not here")
@pytest.mark.parametrize("page", ["1.0/faq/", "1.0/zh/faq/"])
def test_page_lists_the_versions_in_a_browser(site, tmp_path, page):
    command = [
        *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu"),
        *(f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom"),
    ]
    handler = partial(QuietHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            done = subprocess.run(
                [*command, address + page], capture_output=True, text=True, timeout=60, check=True
            )
        finally:
            server.shutdown()
            thread.join()
    links = re.findall(r'href="([^"]+)" class="md-version__link"', done.stdout)
    assert links == [address + page.removesuffix("faq/")]


@pytest.mark.skipif(NODE is None, reason="Node.js is not here")
@pytest.mark.parametrize(
    ("folder", "query", "page"),
    [
        (".", "failurePolicy", "failure-modes/"),
        (".", "too many requests", "troubleshooting/#429-too-many-requests"),
        (".", "daocloud", "howto/china/"),
        ("zh", "白名单", "howto/china/"),
        ("zh", "镜像站", "howto/china/"),
        ("zh", "控制平面", "howto/china/"),
    ],
)
def test_search_finds_a_page(site, folder, query, page):
    place = site / "1.0" / folder
    script = Path(__file__).with_name("search.js")
    done = subprocess.run(
        [NODE, script, place, query], capture_output=True, text=True, timeout=60, check=True
    )
    assert page in done.stdout


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("rules.md#match", "rules.md#match"),
        ("../CONTRIBUTING.md", "contributing.md"),
        ("../charts/mirrorhook/README.md", "reference/values.md"),
        ("../Makefile", "https://github.com/mirrorhook/mirrorhook/blob/main/Makefile"),
        ("https://example.com/a.md", "https://example.com/a.md"),
    ],
)
def test_link_leads_to_the_same_place_on_the_site(link, moved):
    text = move_links(f"[a]({link})", "docs/install.md", map_pages("en"))
    assert text == f"[a]({moved})"


def test_link_to_a_heading_that_no_chinese_page_has_leads_to_the_english_page():
    pages = map_pages("zh")
    text = move_links("[a](howto/china.md#nothing)", "docs/doctor.md", pages)
    assert text == "[a](../../howto/china/#nothing)"
    text = move_links("[a](howto/china.md#public-mirrors)", "docs/doctor.md", pages)
    assert text == "[a](howto/china.md#public-mirrors)"


def test_link_that_leads_nowhere_is_refused():
    with pytest.raises(SystemExit, match="leads nowhere"):
        move_links("[a](no-such-page.md)", "docs/install.md", map_pages("en"))
