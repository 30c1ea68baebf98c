"""All parts of mirrorhook take an image from where the rules say.

These tests take every image of the cases with each built-in profile. The documentation
lists the differences by code; there are no others than those here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.render.expectations import IMAGES, expected, is_below
from tests.render.places import REWRITERS, place, run_pull
from tests.render.runtimes import RENDERERS, find_urls
from webhook.core import MirrorMap, parse_reference
from webhook.profiles import PROFILES
from webhook.render import WarningCode

PAGE = Path(__file__).parents[2] / "docs/render.md"
ROW = re.compile(r"^\| `(?P<code>[\w-]+)` \| (?P<targets>.*?) \|", re.MULTILINE)

# What a runtime leaves out of a profile: it asks only the registry of the image.
LEFT_OUT = {
    ("aliyun-google-containers", "containerd"): WarningCode.PATH_RULE,
    ("bitnami-legacy", "containerd"): WarningCode.PATH_RULE,
}
every_profile = pytest.mark.parametrize("profile", PROFILES)


def images_for(profile):
    """Return every image, and one for each rule of a profile."""
    names = [str(rule.match) for rule in PROFILES[profile].rules]
    return [*IMAGES, *(f"{n}:1" if "/" in n else f"{n}/mirrorhook/a:1" for n in names)]


@cache
def places(profile):
    """Return all places of each image, by the rules."""
    mirrors = MirrorMap(PROFILES[profile].rules)
    return {
        image: [url.partition("://")[2] for url in expected(mirrors, image)]
        for image in images_for(profile)
    }


@every_profile
def test_images_cover_all_rules_of_a_profile(profile):
    mirrors = MirrorMap(PROFILES[profile].rules)
    assert {mirrors.decide(image).rule for image in images_for(profile)} >= set(mirrors.rules)


@every_profile
@pytest.mark.parametrize("rewriter", REWRITERS)
def test_rewriter_names_the_first_place_of_an_image(tmp_path, profile, rewriter):
    wanted = {image: [first] for image, (first, *_) in places(profile).items()}
    got = REWRITERS[rewriter](profile, list(wanted), tmp_path)
    assert dict(zip(wanted, got, strict=True)) == wanted


@every_profile
def test_pull_tries_the_places_of_an_image_in_order(tmp_path, profile):
    wanted = places(profile)
    got = run_pull(profile, list(wanted), tmp_path)
    assert dict(zip(wanted, got, strict=True)) == wanted


@every_profile
@pytest.mark.parametrize("runtime", ["containerd", "crio"])
def test_runtime_asks_the_same_places_except_for_documented_differences(
    ask_runtime, tmp_path, profile, runtime
):
    wanted = dict(places(profile))
    rendered = RENDERERS[runtime](PROFILES[profile].rules)
    code = LEFT_OUT.get((profile, runtime))
    named = [
        prefix
        for warning in rendered.warnings
        if warning.code is code and not warning.misleads
        for prefix in warning.names
    ]
    assert bool(named) is (code is not None)
    for image, (own, *_) in wanted.items():
        if any(is_below(parse_reference(image).name, prefix) for prefix in named):
            assert own != place(image)
            wanted[image] = [place(image)]
    got = find_urls(ask_runtime, runtime, rendered, tmp_path, wanted)
    bare = ([url.partition("://")[2] for url in urls] for urls in got)
    assert dict(zip(wanted, bare, strict=True)) == wanted


def test_documentation_lists_all_differences():
    page = PAGE.read_text(encoding="utf-8").partition("## What a target cannot express")[2]
    targets = dict(ROW.findall(page))
    assert set(targets) == set(WarningCode)
    for (_, runtime), code in LEFT_OUT.items():
        assert runtime in targets[code]
