"""Each runtime's own reading of what we write, against what the rules say."""

from __future__ import annotations

import pytest

from tests.render.expecting import IMAGES, RULES, excused, expected
from tests.render.runtimes import RENDERERS, asked_with


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("runtime", RENDERERS)
def test_a_runtime_asks_where_the_rules_say_or_the_difference_is_told(
    asks, tmp_path, runtime, name
):
    mirrors = RULES[name]
    rendered = RENDERERS[runtime](mirrors.rules)
    if not rendered.files and runtime != "containerd":
        assert rendered.warnings or not mirrors.rules
        return
    got = asked_with(asks, runtime, rendered, tmp_path, IMAGES)
    wrong = {}
    for image, answer in zip(IMAGES, got, strict=True):
        urls = answer
        wanted = expected(mirrors, image)
        if runtime == "k3s":  # its reading tells of the mirrors only
            itself = expected(RULES["none"], image)
            wanted = [u for u in wanted if u not in itself]
            asked = [u.replace("https://localhost:", "http://localhost:") for u in urls]
            urls = [u for u in asked if u not in itself]
        if runtime == "crio":
            wanted = [u.replace("http://", "https://") for u in wanted]
        if urls != wanted and not excused(rendered, image, mirrors):
            wrong[image] = urls, wanted
    assert not wrong
