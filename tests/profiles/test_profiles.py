from __future__ import annotations

import re
from itertools import combinations

import pytest

from webhook.core import MirrorMap
from webhook.profiles import PROFILES, Status

DIGEST = "sha256:" + "0123456789abcdef" * 4

IMAGES = (
    "nginx",
    "bitnami/redis:7.2",
    "docker.io/bitnami/kafka@" + DIGEST,
    "grafana/grafana:11.0.0",
    "gcr.io/distroless/static:nonroot",
    "us.gcr.io/k8s-artifacts-prod/external-dns/external-dns:v0.7.6",
    "mirror.gcr.io/library/busybox",
    "k8s.gcr.io/pause:3.1",
    "k8s.gcr.io/ingress-nginx/controller:v1.1.0",
    "registry.k8s.io/kube-apiserver:v1.31.0",
    "registry.k8s.io/coredns/coredns:v1.11.1@" + DIGEST,
    "registry.k8s.io/ingress-nginx/controller:v1.13.2",
    "ghcr.io/fluxcd/source-controller:v1.3.0",
    "quay.io/jetstack/cert-manager-controller:v1.15.0",
    "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
    "mcr.microsoft.com/dotnet/runtime:8.0",
    "docker.elastic.co/beats/filebeat:8.14.0",
    "registry.example.com/team/app:1",
)


def merge_rules(*names):
    """Return the rules of several profiles; of rules with the same match, the first."""
    rules = {}
    for name in names:
        for rule in PROFILES[name].rules:
            rules.setdefault(rule.name, rule)
    return rules.values()


def combine_names():
    names = list(PROFILES)
    yield from ((name,) for name in names)
    for pair in combinations(names, 2):
        yield pair
        yield pair[::-1]
    yield tuple(names)
    yield tuple(reversed(names))


@pytest.mark.parametrize("names", [*combine_names()], ids="+".join)
def test_profiles_are_idempotent_alone_and_together(names):
    mirrors = MirrorMap(merge_rules(*names))

    for image in IMAGES:
        once = mirrors.decide(image).image
        assert mirrors.decide(once).image == once


@pytest.mark.parametrize("profile", [*PROFILES.values()], ids=lambda profile: profile.name)
def test_profile_has_source_and_date(profile):
    assert "https://" in profile.source
    assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", profile.date)
    assert profile.title
    for sentence in (profile.note, *profile.conditions):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


@pytest.mark.parametrize("profile", [*PROFILES.values()], ids=lambda profile: profile.name)
def test_rules_name_their_profile(profile):
    assert profile.rules
    assert {rule.source for rule in profile.rules} == {profile.name}
    assert PROFILES[profile.name] is profile


def test_status_of_restricted_mirrors():
    restricted = {p.name: p.status for p in PROFILES.values() if p.status is not Status.OPEN}

    assert restricted == {
        "azure-china": Status.RESTRICTED,
        "azure-china-2019": Status.RESTRICTED,
        "bitnami-legacy": Status.FROZEN,
        "sjtu": Status.RESTRICTED,
        "ustc": Status.CLOSED,
    }


@pytest.mark.parametrize(
    ("profile", "image", "expected"),
    [
        ("azure-china", "nginx", "dockerhub.azk8s.cn/library/nginx"),
        ("azure-china", "gcr.io/a/b:1", "gcr.azk8s.cn/a/b:1"),
        ("azure-china", "us.gcr.io/a/b:1", "usgcr.azk8s.cn/a/b:1"),
        ("azure-china", "k8s.gcr.io/pause:3.1", "k8sgcr.azk8s.cn/pause:3.1"),
        ("azure-china", "registry.k8s.io/pause:3.9", "registryk8s.azk8s.cn/pause:3.9"),
        ("azure-china", "quay.io/a/b", "quay.azk8s.cn/a/b"),
        ("azure-china", "mcr.microsoft.com/a", "mcr.azure.cn/a"),
        ("azure-china-2019", "xxx:yyy", "dockerhub.azk8s.cn/library/xxx:yyy"),
        ("azure-china-2019", "uuu/xxx:yyy", "dockerhub.azk8s.cn/uuu/xxx:yyy"),
        ("azure-china-2019", "gcr.io/xxx/yyy:zzz", "gcr.azk8s.cn/xxx/yyy:zzz"),
        (
            "azure-china-2019",
            "k8s.gcr.io/kube-proxy:v1.15.5",
            "gcr.azk8s.cn/google-containers/kube-proxy:v1.15.5",
        ),
        (
            "azure-china-2019",
            "quay.io/kubernetes-ingress-controller/nginx-ingress-controller:0.26.1",
            "quay.azk8s.cn/kubernetes-ingress-controller/nginx-ingress-controller:0.26.1",
        ),
        ("ustc", "nginx:1", "docker.mirrors.ustc.edu.cn/library/nginx:1"),
        ("ustc", "gcr.io/a/b", "gcr.mirrors.ustc.edu.cn/a/b"),
        (
            "ustc",
            "k8s.gcr.io/pause:3.1",
            "gcr.mirrors.ustc.edu.cn/google-containers/pause:3.1",
        ),
        ("ustc", "quay.io/a/b", "quay.mirrors.ustc.edu.cn/a/b"),
        ("daocloud", "nginx", "m.daocloud.io/docker.io/library/nginx"),
        ("daocloud", "ghcr.io/a/b:1", "m.daocloud.io/ghcr.io/a/b:1"),
        ("daocloud", "registry.k8s.io/pause", "m.daocloud.io/registry.k8s.io/pause"),
        ("daocloud-host", "nginx", "docker.m.daocloud.io/library/nginx"),
        ("daocloud-host", "k8s.gcr.io/pause", "k8s-gcr.m.daocloud.io/pause"),
        ("daocloud-host", "registry.k8s.io/pause", "k8s.m.daocloud.io/pause"),
        ("daocloud-host", "docker.elastic.co/a/b", "elastic.m.daocloud.io/a/b"),
        ("nju", "nginx", "nginx"),
        ("nju", "ghcr.io/a/b", "ghcr.nju.edu.cn/a/b"),
        ("nju", "registry.k8s.io/a/b:1", "k8s.mirror.nju.edu.cn/a/b:1"),
        ("nju", "k8s.gcr.io/pause", "gcr.nju.edu.cn/google-containers/pause"),
        (
            "sjtu",
            "registry.k8s.io/a/b:1",
            "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn/a/b:1",
        ),
        ("k8s-gcr-io", "k8s.gcr.io/a/b:1", "registry.k8s.io/a/b:1"),
        ("mirror-gcr-io", "nginx:1", "mirror.gcr.io/library/nginx:1"),
        ("bitnami-legacy", "bitnami/redis:7", "docker.io/bitnamilegacy/redis:7"),
        ("bitnami-legacy", "bitnamilegacy/redis:7", "bitnamilegacy/redis:7"),
    ],
)
def test_profile_rewrites_image_to_its_mirror(profile, image, expected):
    assert MirrorMap(PROFILES[profile].rules).decide(image).image == expected


@pytest.mark.parametrize("registry", ["registry.k8s.io", "k8s.gcr.io"])
@pytest.mark.parametrize(
    ("image", "flat"),
    [
        ("kube-apiserver:v1.31.0", "kube-apiserver:v1.31.0"),
        ("kube-controller-manager:v1.31.0", "kube-controller-manager:v1.31.0"),
        ("kube-scheduler:v1.31.0", "kube-scheduler:v1.31.0"),
        ("kube-proxy:v1.31.0", "kube-proxy:v1.31.0"),
        ("pause:3.10", "pause:3.10"),
        ("etcd:3.5.15-0", "etcd:3.5.15-0"),
        ("coredns/coredns:v1.11.1", "coredns:v1.11.1"),
    ],
)
def test_flat_mirror_gets_control_plane_images(registry, image, flat):
    decision = MirrorMap(PROFILES["aliyun-google-containers"].rules).decide(f"{registry}/{image}")

    assert [candidate.image for candidate in decision.candidates] == [
        f"registry.aliyuncs.com/google_containers/{flat}",
        f"registry.cn-hangzhou.aliyuncs.com/google_containers/{flat}",
    ]


@pytest.mark.parametrize(
    "image",
    [
        "registry.k8s.io/ingress-nginx/controller:v1.13.2",
        "registry.k8s.io/coredns/other:1",
        "registry.k8s.io/kube-apiserver-amd64:v1.14.0",
        "gcr.io/google-containers/pause:3.1",
        "pause:3.10",
    ],
)
def test_flat_mirror_gets_no_other_images(image):
    decision = MirrorMap(PROFILES["aliyun-google-containers"].rules).decide(image)

    assert decision.image == image
