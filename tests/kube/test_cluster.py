from __future__ import annotations

import base64

import pytest

from tests.kube.fake_api import CONFIGURATIONS, NAMESPACES, SECRETS
from webhook.kube import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    WebhookSelection,
    connect,
)
from webhook.kube.client import KubeClient, _find_message
from webhook.kube.cluster import Cluster

pytestmark = pytest.mark.anyio


def webhook(name, bundle=None):
    service = {"name": "mirrorhook", "namespace": "mirrorhook", "path": "/mutate"}
    content = {"service": service}
    if bundle is not None:
        content["caBundle"] = base64.b64encode(bundle).decode()
    return {"name": name, "clientConfig": content, "timeoutSeconds": 3}


async def test_get_returns_none_for_a_missing_object(cluster):
    assert await cluster.get_secret("mirrorhook", "ca") is None
    assert await cluster.get_webhook_configuration("mirrorhook") is None


async def test_secret_is_created_and_read(api, cluster):
    made = await cluster.create_secret("mirrorhook", "ca", "x/y", {"a": b"\x00\xff"})
    assert (made.namespace, made.name, made.type) == ("mirrorhook", "ca", "x/y")
    assert made.data == {"a": b"\x00\xff"}
    assert await cluster.get_secret("mirrorhook", "ca") == made
    assert "labels" not in api.objects[f"{SECRETS}/ca"]["metadata"], "Helm's, if anybody's"


@pytest.mark.parametrize("content", [{}, {"data": None}, {"data": {}}])
async def test_empty_secret_has_no_data(api, cluster, content):
    api.put(SECRETS, "ca", type="x/y", **content)
    assert (await cluster.get_secret("mirrorhook", "ca")).data == {}


async def test_patch_secret_changes_keys_and_keeps_others(api, cluster):
    api.put(SECRETS, "ca", type="x/y", data={"other": "b3RoZXI="})
    read = await cluster.get_secret("mirrorhook", "ca")
    changed = await cluster.patch_secret(read, {"a": b"1"})
    assert changed.data == {"other": b"other", "a": b"1"}
    assert changed.version != read.version


async def test_repr_of_a_secret_hides_its_data(cluster):
    made = await cluster.create_secret("mirrorhook", "ca", "x/y", {"a": b"hidden"})
    assert "hidden" not in repr(made)


async def test_patch_ca_bundles_changes_nothing_else(api, cluster):
    api.put(CONFIGURATIONS, "hook", webhooks=[webhook("a.x"), webhook("b.x", b"old")])
    read = await cluster.get_webhook_configuration("hook")
    assert read.ca_bundles == {"a.x": b"", "b.x": b"old"}
    changed = await cluster.patch_ca_bundles(read, b"new")
    assert changed.ca_bundles == {"a.x": b"new", "b.x": b"new"}
    assert api.objects[f"{CONFIGURATIONS}/hook"]["webhooks"] == [
        webhook("a.x", b"new"),
        webhook("b.x", b"new"),
    ]


async def test_disown_ca_bundles_leaves_other_managers_and_the_bundles(api, cluster):
    made = api.put(CONFIGURATIONS, "hook", webhooks=[webhook("a.x", b"old")])
    owned = {"f:webhooks": {}}
    managers = [{"manager": each, "fieldsV1": owned} for each in ("helm", "mirrorhook", "kubectl")]
    del managers[2]["manager"]  # a client without a name
    made["metadata"]["managedFields"] = managers
    await cluster.disown_ca_bundles(await cluster.get_webhook_configuration("hook"))
    read = await cluster.get_webhook_configuration("hook")
    assert read.field_managers == read.other_managers == (managers[0], managers[2])
    assert read.ca_bundles == {"a.x": b"old"}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [(None, False), ({"mirrorhook.io/ca": "external"}, True), ({"mirrorhook.io/ca": ""}, False)],
)
async def test_configuration_says_whether_its_ca_is_external(api, cluster, annotations, expected):
    made = api.put(CONFIGURATIONS, "hook", webhooks=[webhook("a.x")])
    made["metadata"]["annotations"] = annotations
    assert (await cluster.get_webhook_configuration("hook")).has_external_ca is expected


async def test_configuration_without_webhooks_has_no_bundles(api, cluster):
    api.put(CONFIGURATIONS, "hook")
    assert (await cluster.get_webhook_configuration("hook")).ca_bundles == {}


async def test_selections_of_webhooks_are_read(api, cluster):
    selector = {"matchLabels": {"a": "b"}}
    full = webhook("a.mirrorhook.io") | {
        "namespaceSelector": selector,
        "objectSelector": selector,
        "matchConditions": [{"name": "c", "expression": "true"}],
        "failurePolicy": "Ignore",
    }
    webhooks = [full, webhook("b.mirrorhook.io")]
    api.put(CONFIGURATIONS, "mirrorhook", webhooks=webhooks)
    assert await cluster.list_webhook_selections("mirrorhook") == [
        WebhookSelection("a.mirrorhook.io", selector, selector, ("c",), True),
        WebhookSelection("b.mirrorhook.io", {}, {}, (), False),
    ]
    with pytest.raises(NotFoundError):
        await cluster.list_webhook_selections("nope")


async def test_labels_of_a_namespace_are_read(api, cluster):
    api.put(NAMESPACES, "shop")["metadata"]["labels"] = {"a": "b"}
    assert await cluster.get_namespace_labels("shop") == {"a": "b"}
    with pytest.raises(NotFoundError):
        await cluster.get_namespace_labels("nope")
    with pytest.raises(NotFoundError):
        await cluster.get_namespace_labels("../../apis/x y")
    api.faults = [403]
    with pytest.raises(ForbiddenError, match="cannot get Namespace shop"):
        await cluster.get_namespace_labels("shop")


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_name_that_leads_to_another_path_is_not_asked_for(cluster, name):
    for call in (
        cluster.get_namespace_labels(name),
        cluster.get_pod(name, "web"),
        cluster.get_pod("shop", name),
    ):
        with pytest.raises(NotFoundError, match="no object has such a name"):
            await call


async def test_patch_of_a_changed_object_is_a_conflict(api, cluster):
    api.put(SECRETS, "ca", type="x/y", data={})
    api.put(CONFIGURATIONS, "hook", webhooks=[webhook("a.x")])
    secret = await cluster.get_secret("mirrorhook", "ca")
    registration = await cluster.get_webhook_configuration("hook")
    api.put(SECRETS, "ca", type="x/y", data={})
    api.put(CONFIGURATIONS, "hook", webhooks=[webhook("a.x")])
    with pytest.raises(ConflictError, match="cannot patch Secret mirrorhook/ca: Operation"):
        await cluster.patch_secret(secret, {"a": b"1"})
    with pytest.raises(ConflictError, match="MutatingWebhookConfiguration hook: Operation"):
        await cluster.patch_ca_bundles(registration, b"new")


async def test_create_of_an_existing_secret_is_a_conflict(api, cluster):
    api.put(SECRETS, "ca", type="x/y", data={})
    with pytest.raises(ConflictError) as caught:
        await cluster.create_secret("mirrorhook", "ca", "x/y", {})
    assert str(caught.value) == (
        'cannot create Secret mirrorhook/ca: secrets "ca" already exists (HTTP 409)'
    )


async def test_create_in_a_missing_namespace_is_refused(api, cluster):
    api.faults.append(404)
    with pytest.raises(RefusedError, match="cannot create Secret nowhere/ca: "):
        await cluster.create_secret("nowhere", "ca", "x/y", {})


async def test_patch_of_a_deleted_secret_is_not_found(api, cluster):
    api.put(SECRETS, "ca", type="x/y", data={})
    secret = await cluster.get_secret("mirrorhook", "ca")
    api.remove(SECRETS, "ca")
    with pytest.raises(NotFoundError):
        await cluster.patch_secret(secret, {"a": b"1"})


async def test_missing_permission_is_named(api, cluster):
    api.denied.add(("get", "secrets"))
    api.denied.add(("get", "mutatingwebhookconfigurations"))
    with pytest.raises(ForbiddenError) as caught:
        await cluster.get_secret("mirrorhook", "ca")
    assert str(caught.value) == (
        'cannot get Secret mirrorhook/ca: secrets "ca" is forbidden: '
        'User "system:serviceaccount:mirrorhook:mirrorhook" cannot get resource "secrets" '
        'in API group "" in the namespace "mirrorhook" (HTTP 403)'
    )
    with pytest.raises(ForbiddenError, match="at the cluster scope"):
        await cluster.get_webhook_configuration("hook")


async def test_patch_of_an_immutable_secret_is_refused(api, cluster):
    api.put(SECRETS, "ca", type="x/y", data={}, immutable=True)
    secret = await cluster.get_secret("mirrorhook", "ca")
    with pytest.raises(RefusedError, match="field is immutable"):
        await cluster.patch_secret(secret, {"a": b"1"})


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (429, "the server says so (HTTP 429)"),
        (500, "the server says so (HTTP 500)"),
        (503, "the server says so (HTTP 503)"),
        (302, "the server says so (HTTP 302)"),
        ("html", "the response is not a JSON object"),
        (
            "drop",
            "('Connection aborted.', RemoteDisconnected('Remote end closed connection",
        ),
        ("half", "('Connection broken: IncompleteRead("),
    ],
)
async def test_invalid_response_is_unavailable(api, cluster, fault, message):
    api.faults.append(fault)
    with pytest.raises(UnavailableError) as caught:
        await cluster.get_secret("mirrorhook", "ca")
    assert str(caught.value).startswith(f"cannot get Secret mirrorhook/ca: {message}")
    assert await cluster.get_secret("mirrorhook", "ca") is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"kind": "Status"}', b"\xff"])
async def test_message_of_a_response_without_reason(body):
    assert _find_message(body) == "the API server gives no reason"


async def test_long_reason_is_cut(api, cluster):
    api.denied.add(("get", "secrets"))
    with pytest.raises(ForbiddenError) as caught:
        await cluster.get_secret("mirrorhook", "a" * 1000)
    assert len(str(caught.value)) < 1500
    assert "aaa… (HTTP 403)" in str(caught.value)


async def test_stopped_api_server_is_unavailable(api, cluster):
    await api.down()
    with pytest.raises(UnavailableError, match="Connection refused"):
        await cluster.get_secret("mirrorhook", "ca")
    await api.up()
    assert await cluster.get_secret("mirrorhook", "ca") is None


async def test_hanging_api_server_is_unavailable_after_the_limit(api, tmp_path):
    cluster = Cluster(KubeClient.load(api.kubeconfig(tmp_path)), limit=0.2)
    api.faults.append("hang")
    with pytest.raises(UnavailableError) as caught:
        await cluster.get_secret("mirrorhook", "ca")
    assert str(caught.value) == (
        "cannot get Secret mirrorhook/ca: no complete response within 0.2 seconds"
    )


async def test_refused_token_is_unavailable(api, cluster):
    api.token = "another"
    with pytest.raises(UnavailableError, match=r"Unauthorized \(HTTP 401\)"):
        await cluster.get_secret("mirrorhook", "ca")


async def test_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(
        ClusterError, match=r"cannot find the address of the API server in /.*/nowhere: "
    ):
        connect(tmp_path / "nowhere")


async def test_broken_kubeconfig_is_named(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("a: [")
    with pytest.raises(ClusterError, match="cannot find the address of the API server in "):
        connect(path)


async def test_connect_outside_a_cluster_raises_an_error(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError) as caught:
        connect()
    assert str(caught.value) == (
        "cannot find the address of the API server in this Pod's service account: "
        "Service host/port is not set."
    )
