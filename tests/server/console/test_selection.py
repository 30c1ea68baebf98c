"""What the console says of a namespace, by what the replica may read."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.server.console.test_causes import read
from tests.server.console.test_reasons import CHINESE
from tests.server.console.test_replicas import Cluster, found
from webhook.kube import ForbiddenError, NotFoundError, UnavailableError, WebhookSelection
from webhook.server.console.i18n import CATALOGUES, Translation
from webhook.server.console.selection import NOT_REVIEWED, REMOVE_OPT_OUT

pytestmark = pytest.mark.anyio
NAME = "kubernetes.io/metadata.name"
OPTED_IN = {"key": "mirrorhook.io/rewrite", "operator": "In", "values": ["enabled"]}
# As the chart renders it by default.
WEBHOOK = WebhookSelection(
    name="default.mirrorhook.io",
    namespaces={
        "matchExpressions": [OPTED_IN, {"key": NAME, "operator": "NotIn", "values": ["system"]}]
    },
    pods={
        "matchExpressions": [
            {"key": "mirrorhook.io/rewrite", "operator": "NotIn", "values": ["disabled"]},
            {"key": "cnpg.io/podRole", "operator": "NotIn", "values": ["instance"]},
        ]
    },
    conditions=("mirrorhook.io/is-not-opted-out",),
    ignores_failure=True,
)
BY_NAME = WebhookSelection(
    "listed.mirrorhook.io",
    {"matchExpressions": [{"key": NAME, "operator": "In", "values": ["listed"]}]},
    {},
    (),
    True,
)
FORBIDDEN = ForbiddenError("cannot get Namespace: you may not")


class Readable(Cluster):
    """An API server of which a replica may read the webhooks, and labels unless that fails."""

    def __init__(self, labels, webhooks=(WEBHOOK, BY_NAME), pod=FORBIDDEN):
        super().__init__()
        self.labels, self.webhooks, self.pod = labels, webhooks, pod

    async def get_pod(self, namespace, name):
        assert name == "web-0"
        if isinstance(self.pod, Exception):
            raise self.pod
        return {"metadata": {"name": name, **self.pod}, "spec": {}}

    async def list_webhook_selections(self, name):
        assert name == "mirrorhook.system"
        if isinstance(self.webhooks, Exception):
            raise self.webhooks
        return list(self.webhooks)

    async def get_namespace_labels(self, name):
        if isinstance(self.labels, Exception):
            raise self.labels
        return self.labels


async def select(console, text, labels, **options):
    found(console)
    console.cluster = Readable(labels, **options)
    (space,) = (await console.json("/api/decisions", text=text))["namespaces"]
    return space["selection"]


UNMET = "label mirrorhook.io/rewrite must be enabled, but"


@pytest.mark.parametrize(
    ("namespace", "labels", "selected", "reason"),
    [
        ("shop", {"mirrorhook.io/rewrite": "enabled"}, True, ""),
        ("listed", {}, True, ""),
        ("shop", {}, False, f"no webhook handles the Pods of shop: label {NAME} must be listed"),
        ("shop", {}, False, f"{UNMET} is missing"),
        ("shop", {"mirrorhook.io/rewrite": "x"}, False, f"{UNMET} is x"),
        ("system", {"mirrorhook.io/rewrite": "enabled"}, False, f"label {NAME} must not be system"),
        ("nope", NotFoundError("no"), False, "there is no namespace nope"),
        # The names are known even if the labels are not.
        ("system", FORBIDDEN, False, f"label {NAME} must not be system"),
        ("listed", FORBIDDEN, True, ""),
        ("shop", FORBIDDEN, None, "which this replica may not read: kubectl get namespace shop"),
        ("shop", UnavailableError("it hangs"), None, "it hangs"),
    ],
)
async def test_selection_is_known_as_far_as_it_may_be_read(
    console, namespace, labels, selected, reason
):
    answer = await select(console, f"{namespace}/web-0", labels)
    assert answer["selected"] is selected
    assert reason in answer["reason"]
    if selected is False and "mirrorhook.io/rewrite" in answer["reason"]:
        assert answer["next"] == (
            f"kubectl label namespace {namespace} mirrorhook.io/rewrite=enabled --overwrite"
        )


class Meeting(Readable):
    """An API server that answers only when it is asked for two namespaces at the same time."""

    def __init__(self):
        super().__init__({})
        self.both = asyncio.Barrier(2)

    async def get_namespace_labels(self, name):
        await self.both.wait()
        return self.labels


async def test_namespaces_are_asked_at_the_same_time(console):
    found(console)
    console.cluster = Meeting()
    console.create("secret-0", namespace="web-0")
    async with asyncio.timeout(60):
        answer = await console.json("/api/decisions", text="shop/web-0")
    assert {each["name"] for each in answer["namespaces"]} == {"shop", "web-0"}


ENABLED = {"mirrorhook.io/rewrite": "enabled"}
DISABLED = {"mirrorhook.io/rewrite": "disabled"}
EARLIER, LATER = "2027-01-15T07:00:00Z", "2027-01-15T09:00:00Z"


@pytest.mark.parametrize(
    ("pod", "reason", "step"),
    [
        (FORBIDDEN, "", ""),
        (NotFoundError("no"), "there is no Pod shop/web-0", "kubectl get pods --namespace shop"),
        ({"labels": DISABLED}, "its label mirrorhook.io/rewrite is disabled", REMOVE_OPT_OUT),
        (
            {"annotations": DISABLED},
            "its annotation mirrorhook.io/rewrite is disabled",
            REMOVE_OPT_OUT,
        ),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, "it is a mirror Pod", ""),
        (
            {"labels": {"cnpg.io/podRole": "instance"}, "creationTimestamp": LATER},
            "its labels exclude it from the webhook: label cnpg.io/podRole must not be instance",
            "",
        ),
        (
            {"creationTimestamp": EARLIER},
            f"it was created at {EARLIER}, before the reviews that are known",
            "to rewrite it, recreate the Pod",
        ),
        (
            {"creationTimestamp": LATER},
            NOT_REVIEWED.format(time=LATER),
            "",
        ),
    ],
)
async def test_pod_is_judged_if_it_may_be_read(console, pod, reason, step):
    answer = await select(console, "shop/web-0", ENABLED, pod=pod)
    assert (answer["pod"], answer["pod_next"]) == (reason, step)
    text = await read(console, text="shop/web-0")
    assert f"The Pod : {reason}" in re.sub(r"\s+", " ", text).replace("Pod:", "Pod :") or not reason
    assert ("Possible causes" in text) is not bool(reason)
    for each in (reason, step):
        assert not each or each.startswith("kubectl") or CHINESE.search(translate(each))


def translate(text):
    return Translation("zh", CATALOGUES["zh"]).reason(text)


@pytest.mark.parametrize(
    ("webhooks", "selected", "reason"),
    [
        (
            NotFoundError("no"),
            False,
            "MutatingWebhookConfiguration mirrorhook.system does not exist",
        ),
        (ForbiddenError("you may not"), None, "you may not"),
    ],
)
async def test_configuration_that_cannot_be_read_is_reported(console, webhooks, selected, reason):
    answer = await select(console, "shop/web-0", {}, webhooks=webhooks)
    assert answer["selected"] is selected
    assert reason in answer["reason"]


async def test_page_shows_what_namespace_pod_and_request_must_meet(console):
    found(console)
    console.cluster = Readable(FORBIDDEN)
    text = await read(console, text="shop/web-0")
    assert "Unknown whether it is selected" in text
    assert "label mirrorhook.io/rewrite must be enabled" in text
    assert "A Pod must meet: label mirrorhook.io/rewrite must not be disabled" in text
    assert "must meet the conditions: mirrorhook.io/is-not-opted-out" in text


async def test_nothing_is_read_for_a_pod_that_is_known(console):
    console.create("web-0")
    assert await select(console, "shop/web-0", AssertionError("it was read")) is None
