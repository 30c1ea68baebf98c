"""Why was my Pod not rewritten? Each cause is produced, and found on the page."""

from __future__ import annotations

import re

import pytest

from tests.server.console.conftest import Console
from tests.server.console.test_page import Page
from tests.tools.faults import unused_port

pytestmark = pytest.mark.anyio


async def read(console, **asked):
    return Page(await console.text(lang="en", **asked)).text


async def test_page_explains_that_no_review_came(console):
    text = await read(console)
    assert "No review so far." in text
    assert "kubectl get mutatingwebhookconfigurations" in text


async def test_page_explains_that_a_namespace_was_never_reviewed(console):
    console.review("nginx", namespace="labelled")
    text = await read(console, text="mine/web-0")
    assert "No decision on such a Pod or image is known." in text
    assert re.search(r"No review of this namespace came since:\s+2027-01-15 08:00:00 UTC", text)
    assert "kubectl label namespace mine mirrorhook.io/rewrite=enabled" in text
    assert "static Pod" in text
    assert "opted out by this label or annotation" in text
    assert "mirrorhook doctor pod mine/web-0" in text


async def test_page_explains_that_a_pod_of_a_reviewed_namespace_is_not_known(console):
    console.review("nginx", namespace="mine")
    text = await read(console, text="mine/db-0")
    assert "The API server called the webhook for this namespace: 1 review." in text
    # Neither can be the cause.
    assert "kubectl label namespace" not in text
    assert "not registered" not in text
    assert "mirrorhook doctor pod mine/db-0" in text


@pytest.mark.parametrize("where", ["labels", "annotations"])
async def test_page_shows_that_a_pod_opted_out(console, where):
    metadata = {"name": "web", where: {"mirrorhook.io/rewrite": "disabled"}}
    console.review(object={"metadata": metadata, "spec": {"containers": []}})
    text = await read(console, text="web")
    assert f"its {where[:-1]} mirrorhook.io/rewrite is disabled" in text


async def test_page_shows_a_mirror_pod(console):
    metadata = {"name": "etcd", "annotations": {"kubernetes.io/config.mirror": "x"}}
    console.review(object={"metadata": metadata, "spec": {"containers": []}})
    assert "it is a mirror Pod" in await read(console)


@pytest.mark.parametrize(
    ("image", "answers"),
    [
        (
            "ghcr.io/a/b",
            ["unmatched", "no rule matches ghcr.io/a/b"],
        ),
        (
            "quay.io/our-team/a",
            ["kept", "shadowed", "by rule quay.io/our-team"],
        ),
        ("h.example/hub/library/nginx", ["it is already at a mirror of rule docker.io"]),
        ("Nginx", ["invalid", "must be in lower case"]),
    ],
)
async def test_page_shows_the_decision_of_the_rules(console, image, answers):
    console.review(image)
    decided, explained = await read(console, text=image), await read(console, image=image)
    assert answers[0] in decided
    for told in answers:
        assert told in explained


@pytest.mark.parametrize(("reviews", "standing"), [(1, "failing"), (7, "down")])
async def test_page_shows_that_a_mirror_is_down(reviews, standing):
    down = unused_port()
    checked = f"availability: {{mode: check, plainHTTP: ['{down}']}}\n"
    console = Console(f"{checked}rules: [{{match: docker.io, mirrors: ['{down}']}}]")
    for number in range(reviews):
        await console.review_asking(f"nginx:{number}")
    decided, explained = await read(console, text=":0"), await read(console, image="nginx")
    reason = "cannot be reached (connection refused)"
    assert f"no mirror is known to have it: {down} {reason}" in decided
    assert explained.count(standing) == 2
    assert reason in explained


async def test_page_shows_that_the_certificate_is_missing(console):
    console.readiness.hold("certificate", "the API server does not trust it yet")
    text = await read(console)
    assert "Not ready: this replica gets no reviews." in text
    assert "certificate: the API server does not trust it yet" in text
