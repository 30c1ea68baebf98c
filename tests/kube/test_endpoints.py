"""The Pods behind a Service, over a real connection."""

from __future__ import annotations

import pytest

from tests.kube.fake_api import SLICES
from webhook.kube import (
    ClusterError,
    Endpoint,
    ForbiddenError,
    UnavailableError,
    connect,
)
from webhook.kube.cluster import find_endpoints

pytestmark = pytest.mark.anyio


def piece(*endpoints, ports=(("webhook", 8443), ("operations", 8080))):
    return {
        "ports": [{"name": name, "port": number} for name, number in ports],
        "endpoints": [
            {"addresses": [address], "targetRef": {"kind": "Pod", "name": name}}
            for name, address in endpoints
        ],
    }


FIRST = piece(("a", "10.1.0.1"), ("b", "10.1.0.2"))
A, B = Endpoint("a", "10.1.0.1", 8080), Endpoint("b", "10.1.0.2", 8080)


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        ([], []),
        ([FIRST], [A, B]),
        ([FIRST, piece(("a", "fd00::1"), ("c", "fd00::3"))], [A, B, ("c", "fd00::3")]),
        ([piece(("a", "10.1.0.1"), ports=[("webhook", 8443)])], []),
        ([piece(("a", "10.1.0.1"), ports=[("operations", None)])], []),
        ([{"ports": None, "endpoints": None}], []),
        ([{**FIRST, "endpoints": None}], []),
        (
            [{**FIRST, "endpoints": [{"addresses": ["10.1.0.9"]}]}],
            [("", "10.1.0.9")],
        ),
    ],
)
async def test_find_endpoints_returns_each_pod_once_with_its_port(slices, found):
    expected = [e if isinstance(e, Endpoint) else Endpoint(*e, 8080) for e in found]
    assert find_endpoints(slices, "operations") == expected


async def test_list_endpoints_lists_slices_of_the_service_only(api, tmp_path):
    label = "kubernetes.io/service-name"
    api.put(SLICES, "mirrorhook-x1", labels={label: "mirrorhook"}, **FIRST)
    api.put(SLICES, "other-x2", labels={label: "other"}, **piece(("o", "10.1.0.7")))
    cluster = connect(api.kubeconfig(tmp_path))
    assert await cluster.list_endpoints("mirrorhook", "mirrorhook", "operations") == [A, B]
    assert api.requests == [("GET", SLICES)]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (403, ForbiddenError, "cannot list EndpointSlices of Service mirrorhook/m"),
        ("hang", UnavailableError, "no complete response within 0.2 seconds"),
        ("html", UnavailableError, "the response is not a JSON object"),
        ("drop", UnavailableError, "cannot list EndpointSlices"),
    ],
)
async def test_list_endpoints_raises_an_error(api, tmp_path, fault, kind, words):
    api.faults = [fault]
    cluster = connect(api.kubeconfig(tmp_path))
    limit = 0.2 if fault == "hang" else 5.0
    with pytest.raises(ClusterError) as caught:
        await cluster.list_endpoints("mirrorhook", "m", "operations", limit=limit)
    assert type(caught.value) is kind
    assert words in str(caught.value)
