"""The rendered files, read by the code of each runtime, against the rules."""

from __future__ import annotations

import pytest

from tests.render.expectations import IMAGES, RULES, expected, is_warned_of
from tests.render.runtimes import RENDERERS, find_urls


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("runtime", RENDERERS)
def test_runtime_asks_where_the_rules_say_or_there_is_a_warning(
    ask_runtime, tmp_path, runtime, name
):
    mirrors = RULES[name]
    rendered = RENDERERS[runtime](mirrors.rules)
    if not rendered.files and runtime != "containerd":
        assert rendered.warnings or not mirrors.rules
        return
    got = find_urls(ask_runtime, runtime, rendered, tmp_path, IMAGES)
    wrong = {}
    for image, answer in zip(IMAGES, got, strict=True):
        urls = answer
        wanted = expected(mirrors, image)
        if runtime == "k3s":  # it reports its mirrors only
            itself = expected(RULES["none"], image)
            wanted = [u for u in wanted if u not in itself]
            asked = [u.replace("https://localhost:", "http://localhost:") for u in urls]
            # No registry can have a name that begins with an underscore.
            urls = [u for u in asked if u not in itself and "/_/" not in u]
        if runtime == "crio":
            wanted = [u.replace("http://", "https://") for u in wanted]
        if urls != wanted and not is_warned_of(rendered, image, mirrors):
            wrong[image] = urls, wanted
    assert not wrong
