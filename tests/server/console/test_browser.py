"""The page in a real Chromium, light and dark."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
