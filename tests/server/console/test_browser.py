"""The page in a real Chromium: light and dark, wide and narrow, by keyboard and without scripts."""

from __future__ import annotations

import struct
import subprocess
import zlib

import pytest

from tests.tools.browser import CHROMIUM, browsing

LIGHT, DARK = (0xF6, 0xF7, 0xF9), (0x0D, 0x11, 0x17)
DARKENED = "--blink-settings=preferredColorScheme=0"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium (Debian: chromium) is not here")


def chromium(folder, *options):
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--hide-scrollbars", f"--user-data-dir={folder}/profile"]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, check=True
    )


def first_pixel(png):
    """Return the size of a picture, and the colour of its upper left corner."""
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    assert kind in (2, 6)
    return (width, height), tuple(zlib.decompress(data)[1:4])


@pytest.mark.parametrize(
    ("options", "language", "size", "colour"),
    [
        ((), "en", (1280, 2000), LIGHT),
        ((DARKENED,), "zh", (1280, 2000), DARK),
        ((), "zh", (500, 2400), LIGHT),
        ((DARKENED,), "en", (500, 2400), DARK),
    ],
    ids=["light", "dark", "phone", "dark-phone"],
)
def test_page_is_painted_under_its_content_security_policy(
    webhook, review_of, tmp_path, options, language, size, colour
):
    webhook.review(review_of("nginx:1.27", "quay.io/a/b", "Not An Image"))
    picture = tmp_path / "console.png"
    chromium(
        tmp_path,
        *options,
        f"--window-size={size[0]},{size[1]}",
        f"--screenshot={picture}",
        f"{webhook.operations}/?lang={language}&image=nginx",
    )
    assert first_pixel(picture.read_bytes()) == (size, colour)


def test_page_is_parsed_as_it_was_written(webhook, review_of, tmp_path):
    webhook.review(review_of("<img src=x onerror=alert(1)>", namespace="evil"))
    address = f"{webhook.operations}/?namespace=evil&lang=en"
    done = chromium(tmp_path, "--dump-dom", address)
    assert "&lt;img src=x onerror=alert(1)&gt;" in done.stdout
    assert "<img" not in done.stdout
    assert "Content Security Policy" not in done.stderr


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def deploy(webhook, review_of, name, image, namespace, count=1):
    """Have Pods of a Deployment reviewed, as its ReplicaSet creates them."""
    replica_set = f"{name}-7d4b9c6f5"
    owner = {"kind": "ReplicaSet", "name": replica_set, "controller": True}
    metadata = {
        "generateName": f"{replica_set}-",
        "labels": {"pod-template-hash": "7d4b9c6f5"},
        "ownerReferences": [owner],
    }
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": image}]}}
    for _ in range(count):
        webhook.review(review_of(object=pod, namespace=namespace))


WIDE, PHONE = (1280, 800), (500, 800)
REASONS = {
    "en": "Not changed: no rule matches quay.io/team/app",
    "zh": "未更改：没有规则匹配 quay.io/team/app",
}


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", REASONS)
def test_pod_is_found_by_keyboard_without_scripts(
    webhook, review_of, browser, tmp_path, language, size
):
    deploy(webhook, review_of, "web-7", "quay.io/team/app:1", "browsed", count=3)
    browser.resize(*size)
    browser.open(f"{webhook.operations}/?lang={language}")
    for _ in range(6):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.name") == "text":
            break
    assert browser.evaluate("document.activeElement.name") == "text"
    browser.type("browsed/web-7-7d4b9c6f5-x2x7k")
    browser.press("Enter")
    browser.wait_for_load()
    assert browser.evaluate("document.querySelectorAll('article').length") == 1
    text = browser.text
    assert "browsed/web-7-7d4b9c6f5-x2x7k" in text
    assert "Deployment/web-7" in text
    assert REASONS[language] in text
    # The answer needs no scrolling, in no direction.
    answer = "document.querySelector('article .images').getBoundingClientRect().bottom"
    assert browser.evaluate(answer) < size[1]
    assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert browser.problems == []
    browser.take_picture(tmp_path / "console.png")


def test_only_problems_are_chosen_by_keyboard(webhook, review_of, browser):
    deploy(webhook, review_of, "good", "quay.io/team/app:1", "chosen")
    deploy(webhook, review_of, "bad", "Not An Image", "chosen")
    browser.resize(*WIDE)
    browser.open(f"{webhook.operations}/?lang=en&text=chosen/")
    assert browser.evaluate("document.querySelectorAll('article').length") == 2
    for _ in range(8):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.name") == "problems":
            break
    browser.press(" ")
    browser.press("Enter")
    browser.wait_for_load()
    assert browser.evaluate("document.querySelectorAll('article').length") == 1
    assert "Not changed: it contains white space" in browser.text


def test_pod_with_many_containers_is_one_entry(webhook, review_of, browser):
    webhook.review(review_of(*[f"quay.io/t/app{n}" for n in range(22)], namespace="many"))
    browser.resize(*WIDE)
    browser.open(f"{webhook.operations}/?lang=en&text=many/web")
    assert browser.evaluate("document.querySelectorAll('article').length") == 1
    assert browser.evaluate("document.querySelectorAll('.images > li').length") == 22
    # The rest is folded, and still there.
    assert "quay.io/t/app0\n" in browser.text
    assert "14 more images" in browser.text
    assert "quay.io/t/app21" not in browser.text
    browser.evaluate("document.querySelector('article details').open = true")
    assert "quay.io/t/app21" in browser.text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_part_of_the_page_is_cut_off(webhook, review_of, browser, dark, size):
    long = f"{'very-long-registry-name.' * 4}example/{'some-team/' * 6}app:{'1' * 60}"
    deploy(webhook, review_of, "long", long, "long-names")
    browser.resize(*size, dark=dark)
    for query in ("text=long-names/", f"image={long}", "text=nowhere/web-0", ""):
        browser.open(f"{webhook.operations}/?lang=en&{query}")
        assert browser.evaluate("document.documentElement.scrollWidth") <= size[0], query
        expected = "rgb(13, 17, 23)" if dark else "rgb(246, 247, 249)"
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == expected
