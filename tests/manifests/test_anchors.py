"""Scalars with an anchor, which can be an image here and something else there."""

from __future__ import annotations

import pytest

NEW = "m.example/hub/library/nginx"
POD = "kind: Pod\nspec:\n"


@pytest.mark.parametrize(
    "text",
    [
        POD + "  containers: [{image: &i OLD}, {image: *i}]\n",
        POD + "  initContainers: [{image: &i OLD}]\n  containers: [{image: *i}]\n",
        POD + "  containers: [&c {image: OLD}]\n  initContainers: [*c]\n",
        POD + "  containers: &c [{image: OLD}]\n  initContainers: *c\n",
        POD + "  containers: [&c {image: OLD}, {<<: *c, name: b}]\n",
        POD + "  containers: [&c {image: OLD}, {<<: [*c], name: b}]\n",
        "kind: Pod\nx: &c {image: OLD}\nspec: {containers: [{<<: *c}, {<<: *c}]}\n",
        "kind: Pod\nx: &c {image: OLD}\ny: &d {<<: *c}\nspec: {containers: [{<<: *d}]}\n",
    ],
)
def test_anchored_image_is_replaced_once(after, text):
    assert after(text.replace("OLD", "nginx")) == text.replace("OLD", NEW)


def test_merge_key_does_not_override_written_keys(after):
    text = POD + "  containers: [{image: gcr.io/b, <<: {image: nginx, name: c}}]\n"
    assert after(text) == text.replace("gcr.io", "m.example/gcr")


@pytest.mark.parametrize(
    "text",
    [
        POD + "  containers: [{image: &i nginx, name: *i}]\n",
        POD + "  containers: [{image: &i nginx, env: [{name: A, value: *i}]}]\n",
        POD + "  containers: [{image: &i nginx, args: [*i]}]\n",
        "kind: Pod\nx: &i nginx\nspec: {containers: [{image: *i}]}\n",
        POD + "  containers: [{image: &i nginx}, {image: *i, imagePullPolicy: Never}]\n",
        POD + "  containers: [{&i image: nginx}, {image: &j gcr.io/a, name: *j}]\n",
    ],
)
def test_anchored_image_with_other_uses_is_unchanged_and_reported(rewritten, text):
    result = rewritten(text)
    assert any(image.shared and not image.changes for image in result.images)
    for image in result.images:
        if image.shared:
            assert image.decision.original in result.content.decode()


def test_line_is_that_of_the_image(rewritten):
    text = "# one\n\nkind: Pod\nspec:\n  containers:\n  - image: &i nginx\n    name: *i\n"
    assert rewritten(text).images[0].line == 6


def test_anchor_is_unknown_in_other_documents(rewritten):
    text = POD + "  containers: [{image: &i nginx}]\n---\nkind: Pod\nimage: *i\n"
    result = rewritten(text)
    assert NEW in result.content.decode()
    assert "*i has no anchor" in result.problems[0].text
    assert result.problems[0].line == 6


@pytest.mark.parametrize(
    "text",
    [
        "kind: Pod\nimage: &a [*a]\nspec: *a\n",
        "kind: Pod\nspec: &a {containers: [*a], image: b}\n",
        "kind: Pod\nspec: &a {<<: *a, containers: [{<<: *a, image: nginx}]}\n",
        "kind: List\nitems: &a [{kind: List, items: *a, image: b}]\n",
    ],
)
def test_recursive_alias_terminates(rewritten, text):
    assert not any("valid YAML" in problem.text for problem in rewritten(text).problems)


def test_alias_bomb_does_not_expand(rewritten):
    lines = ["image: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    text = "kind: Pod\n" + "\n".join(lines) + "\nspec: {containers: *a29}\n"
    assert rewritten(text).images == ()
