"""Files read block by block."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from webhook.core import MirrorMap, Rule
from webhook.manifests import rewrite_manifests, rewrite_stream

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"]), Rule("quay.io", keep=True)]).decide
POD = "kind: Pod\nspec:\n  containers:\n  - image: {}\n    name: {}".format
SCALARS = st.sampled_from(
    ["nginx", "'nginx'", "&a b", "*a", "[", "|", "Not Good", "# a", "é", "\u2028", "\ufeff", "12"]
)
LINES = st.sampled_from(
    ["---", "--- # a", "---x", "...", "...a", "... # a", "  ---", "# image", "", "%YAML 1.1", "\t"]
)
STREAMS = st.builds(
    lambda parts, newline: "\n".join(parts).replace("\n", newline),
    st.lists(LINES | st.builds(POD, SCALARS, SCALARS) | st.just("---"), max_size=9),
    st.sampled_from(["\n", "\r\n", "\r"]),
)


@given(STREAMS, st.integers(1, 9), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@example("é😀\nkind: Pod\nspec: {containers: [{image: nginx}]}\n", 1, "utf-8")
@example(' \n\n {"kind":"Pod","spec":{"containers":[{"image":"a"}]}}\n{"a":"image"}', 1, "utf-8")
@example("%YAML 1.1\n---\nimage: a\n...\n# b\n---\n", 2, "utf-8")
def test_blocks_give_the_same_result_as_the_whole_file(text, size, encoding):
    content = text.encode(encoding)
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    whole = rewrite_manifests(content, DECIDE)
    parts = [*rewrite_stream(iter(blocks), DECIDE)]
    assert b"".join(part.content for part in parts) == whole.content
    assert tuple(image for part in parts for image in part.images) == whole.images
    assert tuple(problem for part in parts for problem in part.problems) == whole.problems


@given(st.binary(max_size=12), st.integers(1, 5), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff"]))
@example(b"a\x00\x00\xd8\n\x00", 1, b"\xff\xfe")
def test_bytes_that_are_no_text_are_kept_for_any_block_size(content, size, mark):
    content = mark + b"a\n" + content
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    parts = [*rewrite_stream(blocks, DECIDE)]
    assert b"".join(part.content for part in parts) == content
    problems = tuple(problem for part in parts for problem in part.problems)
    assert problems == rewrite_manifests(content, DECIDE).problems


def test_stream_reads_no_further_than_its_results():
    def endless():
        while True:
            yield yaml.safe_dump({"kind": "Pod"}).encode() + b"---\n"

    parts = rewrite_stream(endless(), DECIDE)
    assert [next(parts).content for _ in range(3)] == [b"kind: Pod\n"] + [b"---\nkind: Pod\n"] * 2
