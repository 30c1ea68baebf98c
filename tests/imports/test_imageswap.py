"""imageswap: its map file, compared with what it does with images."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.imports.tools import get_lines, import_text, summarize
from webhook.core import MirrorMap
from webhook.imports import UnreadableFileError

NEVER = "original never"

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: imageswap-maps}
data:
  maps: |
    default::
    quay.io::m.example.com/quay
    r.bar.com:r.baz.com:30003/bar
"""


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        ("default::\nquay.io::m.io/q\n", [("quay.io", "m.io/q", NEVER)], []),
        ("default:\nquay.io:m.io/q # why\n", [("quay.io", "m.io/q", NEVER)], []),
        ("default::\nquay.io :: m.io/q ### why #\n", [], [2]),  # "### why " is not cut off
        ("default::\nquay.io::m.io/q ### why\n", [("quay.io", "m.io/q", NEVER)], []),
        ("default::\nr.bar.com:r.baz.com:30003/bar\n", [], [2]),
        ("default::\na.io::b.io::c.io\n", [], [2]),
        ("default::\na.io;b.io\n", [], [2]),
        ("default::\na.io:5000::b.io:1/c\n", [("a.io:5000", "b.io:1/c", NEVER)], []),
        ("default::\na.io::localhost:30003/foo\n", [("a.io", "localhost:30003/foo", NEVER)], []),
        ("default::\na.io::team\n", [("a.io", "docker.io/team", NEVER)], []),
        # A registry without a dot, and a path, are never looked up.
        ("default::\nlocalhost:5000::b.io\nquay.io/team::b.io\nmirror::b.io\n", [], [2, 3, 4]),
        (
            "default::\ndocker.io::my.example.com/mirror-\n",
            [
                ("docker.io", "my.example.com/mirror-docker.io", NEVER),
                ("docker.io/library", "my.example.com/mirror-docker.io", NEVER),
            ],
            [],
        ),
        ("default::\na.io:50::b.io/x-\n", [("a.io:50", "b.io/x-a.io flat", NEVER)], []),
        (
            "default::\ndocker.io::h.io\ndocker.io/library::h.io/lib\n",
            [("docker.io", "h.io", NEVER), ("docker.io/library", "h.io/lib", NEVER)],
            [],
        ),
        ("default::\na.io::b.io\na.io::c.io\n", [("a.io", "c.io", NEVER)], [2]),
        ("default::\n[EXACT]a.io/b:1::c.io/b:2\n[REPLACE]a.io/*::c.io\n", [], [2, 3]),
        ("quay.io::m.io\n", [], [0]),  # nothing is swapped without a default
        ("default::\nnoswap_wildcards::twr.io\nquay.io::m.io\n", [("quay.io", "m.io", NEVER)], []),
        ("default::d.io\nnoswap_wildcards::twr.io,\n", [], [2]),
        (
            "default::d.io\n\na.io:50::b.io/x-\n",
            [
                (r"/a\.io:50/(?:.+/)?([^/]+)/", r"b.io/x-a.io/\1", NEVER),
                (r"/b\.io/x-a\.io/.+/", "keep"),
                (r"/docker\.io/library/(.+)|[^/]+/(.+)/", r"d.io/\1\2", NEVER),
            ],
            [],
        ),
        (
            "default::d.io\ndocker.io/library::l.io\nnoswap_wildcards::library\n",
            [
                (r"/docker\.io/library(/.+)?/", r"l.io\1", NEVER),
                (r"/docker\.io/(.+)/", "keep"),
                ("/.*library.*/", "keep"),
                (r"/l\.io(?::[0-9]+)?/.+/", "keep"),
                (r"/docker\.io/library/(.+)|[^/]+/(.+)/", r"d.io/\1\2", NEVER),
            ],
            [3],
        ),
        (CONFIG_MAP, [("quay.io", "m.example.com/quay", NEVER)], [8]),
    ],
)
def test_imageswap_lines_give_rules_and_warnings(text, rules, lines):
    rule_set = import_text("imageswap", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: quay.io/a}]}\n",
        "kind: ConfigMap\ndata: {a: b}\n",
        "hello world\n",
    ],
)
def test_file_without_maps_is_refused(text):
    with pytest.raises(UnreadableFileError):
        import_text("imageswap", text)


MAPS = """\
default::{default}
docker.io::{hub}
quay.io::quay.example3.com
gitlab.com:registry.example.com/gitlab
cool.io:
registry.waldo.com:8443::registry.garply.com
dash.io::my.example.com/mirror-
noswap_wildcards:twr.io, walrus.io
"""


def swap(maps, image):
    """Return what imageswap makes of an image as it is written."""
    head, slash, _ = image.partition("/")
    registry = head if "." in head and slash else "docker.io"
    bare = registry.partition(":")[0]
    key = bare if registry not in maps and bare in maps else registry
    if key not in maps:
        wildcards = maps["noswap_wildcards"].split(",")
        if any(each in image for each in wildcards) or not maps["default"]:
            return image
        target = maps["default"]
        if target.endswith("-"):
            return f"{target}{bare}/{image}"
        return image.replace(registry, target) if registry in image else f"{target}/{image}"
    if slash == "" and f"{key}/library" in maps:
        key = f"{key}/library"
    target = maps[key]
    if not target:
        return image
    if target.endswith("-"):
        written = "" if registry == head else f"{bare}/"
        return target + written + re.sub(":.*/", "/", image)
    return image.replace(key, target) if key in image else f"{target}/{image}"


REGISTRIES = (
    "",
    "quay.io/",
    "gitlab.com/",
    "cool.io/",
    "cool.io:80/",
    "registry.waldo.com:8443/",
    "dash.io/",
    "jm.twr.io/",
    "walrus.io/",
    "gcr.io/",
    "quay.io:5000/",
)
REPOSITORIES = ("nginx", "bitnami/redis", "a/b/c", "walrus.io-tools", "team/twr.iox")
SUFFIXES = ("", ":1.2", "@sha256:" + "0123456789abcdef" * 4)
DEFAULTS = ("", "default.example.com", "default.example.com/all", "d.example.com/x-")


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("hub", ["", "hub.example.com/proxy", "hub.example.com/x-"])
def test_imported_maps_swap_as_imageswap_does(default, hub):
    text = MAPS.format(default=default, hub=hub)
    mirror_map = MirrorMap(import_text("imageswap", text).rules)
    maps = dict(
        re.split("::|:(?=[a-z]|$)", line.replace(" ", ""))[:2] for line in text.splitlines()
    )
    images = map("".join, itertools.product(REGISTRIES, REPOSITORIES, SUFFIXES))
    # Without a default, no rules are written for other ports of a registry.
    images = [image for image in images if default or ":5000" not in image]
    swapped = {image: mirror_map.decide(image).image for image in images}
    assert swapped == {image: swap(maps, image) for image in images}
