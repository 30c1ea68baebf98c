"""Strategies for image names, rules and sets of rules, valid and invalid."""

from __future__ import annotations

from hypothesis import strategies as st

from webhook.core import InvalidRuleError, Mirror, MirrorMap, Rule

HOSTS = (
    "docker.io",
    "index.docker.io",
    "gcr.io",
    "eu.gcr.io",
    "a.b.gcr.io",
    "registry.k8s.io",
    "localhost",
    "localhost:5000",
    "LocalRegistry",
    "m.example",
    "m.example:5000",
    "[fd00::1]:5000",
)
PARTS = ("a", "b", "library", "nginx", "a-b", "a__b", "0", "docker.io", "gcr.io")
TAGS = ("", ":1", ":latest", ":" + "t" * 128, ":V_1.2-x")
DIGESTS = ("", "@sha256:" + "a" * 64, "@sha512:" + "0" * 128)

paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join)
suffixes = st.tuples(st.sampled_from(TAGS), st.sampled_from(DIGESTS)).map("".join)
names = st.builds("{}/{}".format, st.sampled_from(HOSTS), paths) | paths
images = st.builds("{}{}".format, names, suffixes)
texts = images | st.text(max_size=40) | st.text("aA./:@-_[]*0 \n", max_size=20)

targets = st.builds(
    "{}{}".format,
    st.sampled_from([host for host in HOSTS if host != "index.docker.io"]),
    paths.map("/{}".format) | st.just(""),
)
mirrors = st.lists(st.builds(Mirror, targets, st.booleans()), min_size=1, max_size=3)
matches = st.builds(
    "{}{}".format, st.sampled_from(HOSTS), paths.map("/{}".format) | st.just("")
) | st.sampled_from(["*", "*.gcr.io", "*.io", "*.gcr.io/a", "*.b.gcr.io", "*.example:5000"])
# So few that most rules with them lead to each other.
prefixes = st.sampled_from(
    ["a.example", "a.example/b", "a.example/b/c", "d.example/e", "d.example", "docker.io/f"]
)
patterns = st.sampled_from(
    [
        (r"docker\.io/library/(.+)", r"m.example/\1"),
        (r"(.+)/a/(.+)", r"\1/\2"),
        (r"([^/]+)/(.*)", r"gcr.io/\1/\2"),
        (r"gcr\.io/(.+)", r"docker.io/\1"),
        (r"(.*)", r"\1"),
        (r"(.*)", r"\1/a"),
        (r"m\.example/(.*)", r"\1"),
        (r"docker\.io/(a)?(.+)", r"localhost:5000/x\1"),
    ]
)


@st.composite
def rules(draw, *, regex=True):
    """One rule of any form."""
    if regex and draw(st.integers(0, 3)) == 0:
        pattern, target = draw(patterns)
        return Rule(regex=pattern, mirrors=[target])
    match = draw(matches)
    if draw(st.integers(0, 4)) == 0:
        return Rule(match, keep=True)
    return Rule(match, draw(mirrors))


@st.composite
def maps(draw, *, regex=True):
    """A valid set of rules."""
    valid = []
    for rule in draw(st.lists(rules(regex=regex), max_size=6)):
        try:
            MirrorMap([*valid, rule])
        except InvalidRuleError:
            continue
        valid.append(rule)
    return MirrorMap(valid)
