"""Searching for Pods by what kubectl shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.server.pod_query import RANDOM_CHARACTERS, MatchRank, PodQuery

POD, OWNER, NAMESPACE, PART = (
    MatchRank.POD,
    MatchRank.OWNER,
    MatchRank.NAMESPACE,
    MatchRank.PART,
)


def rank(text, namespace="shop", pod="web-7-7d4b9c6f5-", owner="Deployment/web-7", **options):
    options.setdefault("generated", pod.endswith("-"))
    return PodQuery(text).match(namespace, pod, owner, **options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-7-7d4b9c6f5-x2x7k", POD),
        ("pod/web-7-7d4b9c6f5-x2x7k", POD),
        ("pods/web-7-7d4b9c6f5-x2x7k", POD),
        ("po/web-7-7d4b9c6f5-x2x7k", POD),
        ("shop/web-7-7d4b9c6f5-x2x7k", POD),
        ("shop/pod/web-7-7d4b9c6f5-x2x7k", POD),
        ("-n shop web-7-7d4b9c6f5-x2x7k", POD),
        ("web-7-7d4b9c6f5-x2x7k -n shop", POD),
        ("web-7-7d4b9c6f5-x2x7k --namespace=shop", POD),
        ("shop   web-7-7d4b9c6f5-x2x7k   1/1     Running   0   5m", POD),
        ("web-7-7d4b9c6f5-x2x7k   1/1     Running   0   5m", POD),
        ("  web-7-7d4b9c6f5-x2x7k\n", POD),
        ("web-7-7d4b9c6f5-", POD),
        ("web-7", OWNER),
        ("shop/web-7", OWNER),
        ("deployment/web-7", OWNER),
        ("deployment.apps/web-7", OWNER),
        ("deploy/web-7", OWNER),
        ("shop/deploy/web-7", OWNER),
        ("rs/web-7-7d4b9c6f5", OWNER),
        ("web-7-7d4b9c6f5", OWNER),
        ("shop", NAMESPACE),
        ("shop/", NAMESPACE),
        ("-n shop", NAMESPACE),
        ("WEB-7-7d", PART),
        ("sho", PART),
        # Not made of this generateName: other letters, another length, another prefix.
        ("web-7-7d4b9c6f5-x2x7a", None),
        ("web-7-7d4b9c6f5-x2x7", None),
        ("web-7-7d4b9c6f5-x2x7kk", None),
        ("web-77-7d4b9c6f5-x2x7k", None),
        ("blog/web-7-7d4b9c6f5-x2x7k", None),
        ("-n blog web-7-7d4b9c6f5-x2x7k", None),
        ("statefulset/web-7", None),
        ("deployment/shop", None),
    ],
)
def test_pod_of_a_deployment_is_found(text, expected):
    assert rank(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db-0", POD),
        ("shop/db-0", POD),
        ("sts/db", OWNER),
        ("statefulsets/db", OWNER),
        ("db", OWNER),
        ("db-0-x2x7k", None),
    ],
)
def test_pod_of_a_statefulset_is_found(text, expected):
    assert rank(text, pod="db-0", owner="StatefulSet/db") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cronjob/backup", OWNER),
        ("cj/backup", OWNER),
        ("job/backup-28392840", OWNER),
        ("backup-28392840-x2x7k", POD),
        ("cronjob/back", None),
    ],
)
def test_pod_of_a_cronjob_is_found(text, expected):
    assert rank(text, pod="backup-28392840-", owner="Job/backup-28392840") is expected


def test_pod_of_an_unknown_kind_is_found_by_its_owner():
    owner = "Cluster/pg"
    assert rank("clusters.postgresql.cnpg.io/pg", pod="pg-1", owner=owner) is OWNER


def test_pod_whose_name_was_cut_is_found():
    prefix = "a" * 60 + "-"
    assert rank("a" * 58 + "x2x7k", pod=prefix, owner="") is POD
    assert rank(prefix + "x2x7k", pod=prefix, owner="") is POD
    assert rank("a" * 57 + "x2x7k", pod=prefix, owner="") is None


@given(
    st.from_regex(r"\A[a-z]([a-z0-9-]{0,80}[a-z0-9])?-\Z"),
    st.text(sorted(RANDOM_CHARACTERS), min_size=5, max_size=5),
)
def test_every_generated_name_is_found(prefix, random):
    # k8s.io/apiserver, storage/names/generate.go
    name = prefix[:58] + random
    assert rank(name, pod=prefix, owner="") is POD
    assert rank(f"shop/{name}", pod=prefix, owner="") is POD


@given(st.text(max_size=60))
def test_no_text_is_refused(text):
    query = PodQuery(text)
    assert query.covers("shop")
    assert isinstance(query.named_namespaces, frozenset)
    if not text.strip():
        assert rank(text) is MatchRank.ANY


@pytest.mark.parametrize(
    "text", ["ghcr.io/acme/api:2", "nginx:1.27", "quay.io/a/b", "a@sha256:0", "localhost:5000/a"]
)
def test_image_names_no_namespace(text):
    assert PodQuery(text).named_namespaces == frozenset()


@pytest.mark.parametrize("part", ["sh", "SHOP", "shop", "op", ""])
def test_namespace_is_filtered_by_a_part_of_it(part):
    assert PodQuery(namespace=part).covers("shop")
    assert not PodQuery(namespace=f"{part}x").covers("shop")


@pytest.mark.parametrize("text", ["nginx:1.27", "Not An Image", 'a"b', "ähnlich", "quay.io/A/b"])
def test_image_is_found_by_a_part_of_it(text):
    query = PodQuery(text)
    for escaped in (True, False):
        images = json.dumps([{"image": f"x/{text}@sha256"}], ensure_ascii=escaped).encode()
        if text.isascii() or not escaped:
            assert query.may_be_in(images)
    assert query.is_part_of(f"x/{text.upper()}@sha256")
