"""Whichever way an image takes, its bytes come from where the rules say.

Every image of the cases, with each built-in profile, by each way. Where a way differs the
documentation names it, by a code; there is no other difference than those here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.render.expecting import IMAGES, expected, lies_under
from tests.render.runtimes import RENDERERS, asked_with
from tests.render.ways import CHOOSING, by_pull, place
from webhook.core import MirrorMap, parse_reference
from webhook.profiles import PROFILES
from webhook.render import WarningCode

PAGE = Path(__file__).parents[2] / "docs/render.md"
ROW = re.compile(r"^\| `(?P<code>[\w-]+)` \| (?P<targets>.*?) \|", re.MULTILINE)

# What a node leaves out of a profile: it asks the image's own registry alone.
LEFT_OUT = {
    ("aliyun-google-containers", "containerd"): WarningCode.PATH_RULE,
    ("bitnami-legacy", "containerd"): WarningCode.PATH_RULE,
}
every_profile = pytest.mark.parametrize("profile", PROFILES)


def images_for(profile):
    """Every image, and one for each rule of a profile."""
    names = [str(rule.match) for rule in PROFILES[profile].rules]
    return [*IMAGES, *(f"{n}:1" if "/" in n else f"{n}/mirrorhook/a:1" for n in names)]


@cache
def places(profile):
    """All places of each image, by the rules."""
    mirrors = MirrorMap(PROFILES[profile].rules)
    return {
        image: [url.partition("://")[2] for url in expected(mirrors, image)]
        for image in images_for(profile)
    }


@every_profile
def test_no_rule_is_without_an_image(profile):
    mirrors = MirrorMap(PROFILES[profile].rules)
    assert {mirrors.decide(image).rule for image in images_for(profile)} >= set(mirrors.rules)


@every_profile
@pytest.mark.parametrize("way", CHOOSING)
def test_an_image_is_named_at_the_first_of_its_places(tmp_path, profile, way):
    wanted = {image: [first] for image, (first, *_) in places(profile).items()}
    got = CHOOSING[way](profile, list(wanted), tmp_path)
    assert dict(zip(wanted, got, strict=True)) == wanted


@every_profile
def test_an_image_is_pulled_from_its_places_in_their_order(tmp_path, profile):
    wanted = places(profile)
    got = by_pull(profile, list(wanted), tmp_path)
    assert dict(zip(wanted, got, strict=True)) == wanted


@every_profile
@pytest.mark.parametrize("runtime", ["containerd", "crio"])
def test_a_node_asks_the_same_places_but_for_what_the_documentation_names(
    asks, tmp_path, profile, runtime
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
        if any(lies_under(parse_reference(image).name, prefix) for prefix in named):
            assert own != place(image)
            wanted[image] = [place(image)]
    got = asked_with(asks, runtime, rendered, tmp_path, wanted)
    bare = ([url.partition("://")[2] for url in urls] for urls in got)
    assert dict(zip(wanted, bare, strict=True)) == wanted


def test_each_difference_is_in_the_documentation():
    page = PAGE.read_text(encoding="utf-8").partition("## What a target cannot express")[2]
    targets = dict(ROW.findall(page))
    assert set(targets) == set(WarningCode)
    for (_, runtime), code in LEFT_OUT.items():
        assert runtime in targets[code]
