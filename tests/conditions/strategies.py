"""Policies and requests with everything that the API server allows.

It decodes Pods into its own types: metadata and spec are always present, no item of a list
is null, and `containers` is the only list that can be null.
"""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.conditions.release import PodRequest
from tests.core import strategies
from webhook.config import ConfigurationError, parse_rules
from webhook.profiles import PROFILES

REGEXES = (
    (r"^docker\.io/library/(?P<name>[a-z]+)$", r"m.example/\1"),
    (r"docker\.io/.*|gcr\.io/a", r"m.example/x"),
    (r"(?i)GCR\.IO/(.*)", r"m.example/\1"),
    (r"\Qgcr.io/a\E/(.+)", r"m.example/\1"),
    (r"\Qgcr.io/a", r"m.example/b"),
    (r"[^/]*:5000/(.+)\B", r"gcr.io/\1"),
    (r"\Cocker\.io/(.+)", r"m.example/\1"),
    ("(docker).io/\"'`\\x0a?(.*)", r"m.example/\1/\2"),
)


# Few enough that rules, mirrors and images often meet.
HOSTS = (
    "docker.io",
    "index.docker.io",
    "gcr.io",
    "eu.gcr.io",
    "localhost",
    "m.example:5000",
)
WILDCARDS = ("*", "*.gcr.io", "*.io", "*.gcr.io/a", "*.io/a", "*.example:5000")
PARTS = ("a", "b", "library")

hosts = st.sampled_from(HOSTS)
paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=2).map("/".join)
prefixes = hosts | st.builds("{}/{}".format, hosts, paths)
suffixes = st.sampled_from(["", "", ":1", "@sha256:" + "a" * 64, ":1@sha256:" + "b" * 64])
names = st.builds("{}/{}".format, hosts, paths) | paths
near = st.builds("{}{}".format, names, suffixes)
images = st.one_of(near, near, near, strategies.images, strategies.texts)

targets = prefixes | st.builds(lambda target: {"target": target}, prefixes)
mirrors = st.lists(targets, min_size=1, max_size=2)
matched = prefixes | prefixes | st.sampled_from(WILDCARDS)
rules = st.one_of(
    st.fixed_dictionaries({"match": matched, "mirrors": mirrors}),
    st.fixed_dictionaries({"match": matched, "mirrors": mirrors}),
    st.fixed_dictionaries({"match": matched, "keep": st.just(True)}),
)
regexes = st.sampled_from(REGEXES).map(
    lambda pair: {"regex": pair[0], "mirrors": [pair[1]]}
) | st.just({"regex": "docker.io/.*a", "keep": True})


@st.composite
def policies(draw):
    """A policy that can be loaded; rules that would prevent this are dropped."""
    profiles = draw(st.lists(st.sampled_from(sorted(PROFILES)), max_size=2, unique=True))
    policy = {"profiles": profiles if draw(st.integers(0, 3)) == 0 else []}
    one = rules | regexes if draw(st.integers(0, 3)) == 0 else rules
    taken = []
    for rule in draw(st.lists(one, min_size=1, max_size=5)):
        try:
            parse_rules(json.dumps({**policy, "rules": [*taken, rule]}), "rules.yaml")
        except ConfigurationError:
            continue
        taken.append(rule)
    return {**policy, "rules": taken}


@st.composite
def containers(draw, field, values):
    """The containers of one list; their names differ, as in any stored Pod."""
    found = []
    for number in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        container = {"name": f"{field}-{number}", "resources": {}}
        image = draw(values) if draw(st.integers(0, 3)) else None
        if image:
            container["image"] = image
        policy = draw(st.sampled_from([None, None, None, "Always", "Never"]))
        if policy:
            container["imagePullPolicy"] = policy
        found.append(container)
    return found


@st.composite
def volumes(draw, values):
    """Volumes, some of them with an image."""
    found = [{"name": "data", "emptyDir": {}}][: draw(st.integers(0, 1))]
    if draw(st.booleans()):
        image = draw(st.fixed_dictionaries({}, optional={"reference": values}))
        found.append({"name": "image", "image": image})
    return found


@st.composite
def specs(draw, values):
    """The spec of a Pod."""
    spec = {"containers": draw(containers("containers", values)) or None}
    for field in ("initContainers", "ephemeralContainers"):
        given = draw(containers(field, values))
        if given:
            spec[field] = given
    given = draw(volumes(values))
    if given:
        spec["volumes"] = given
    return spec


marks = st.dictionaries(
    st.sampled_from(["mirrorhook.io/rewrite", "kubernetes.io/config.mirror", "a"]),
    st.sampled_from(["disabled", "enabled", ""]),
    min_size=1,
    max_size=2,
)
marked = st.fixed_dictionaries({}, optional={"labels": marks, "annotations": marks})
metadata = st.one_of([st.just({})] * 4 + [marked])


@st.composite
def requests(draw):
    """The creation or update of a Pod; updates often keep some of its containers."""
    values = st.sampled_from(draw(st.lists(images, min_size=1, max_size=2)))
    pods = st.fixed_dictionaries({"metadata": metadata, "spec": specs(values)})
    new = draw(pods)
    if draw(st.booleans()):
        return PodRequest(new)
    old = draw(pods)
    subresource = draw(st.sampled_from(["", "ephemeralcontainers"]))
    for field in ("containers", "initContainers", "ephemeralContainers", "volumes"):
        if field in new["spec"] and draw(st.booleans()):
            old["spec"][field] = new["spec"][field]
    return PodRequest(new, old, subresource)
