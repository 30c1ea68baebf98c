from __future__ import annotations

import pytest
import yaml

from webhook.core import Mirror, MirrorMap, Rule
from webhook.profiles import PROFILES
from webhook.render import WarningCode, render_kubeadm


def rendered(*rules):
    result = render_kubeadm(MirrorMap(rules))
    (file,) = result.files
    return yaml.safe_load(file.text), result.warnings


K8S = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            [Rule("registry.k8s.io", ["h.example.com/k8s"])],
            {
                "imageRepository": "h.example.com/k8s",
                "dns": {"imageRepository": "h.example.com/k8s/coredns"},
            },
        ),
        (
            [Rule("registry.k8s.io", [Mirror("h.example.com/k8s", flatten=True)])],
            {"imageRepository": "h.example.com/k8s"},
        ),
        (
            PROFILES["aliyun-google-containers"].rules,
            {"imageRepository": "registry.aliyuncs.com/google_containers"},
        ),
        (
            [
                Rule("registry.k8s.io", ["h.example.com/k8s"]),
                Rule("registry.k8s.io/etcd", ["h.example.com/db/etcd"]),
                Rule("registry.k8s.io/coredns", keep=True),
            ],
            {
                "imageRepository": "h.example.com/k8s",
                "etcd": {"local": {"imageRepository": "h.example.com/db"}},
                "dns": {"imageRepository": "registry.k8s.io/coredns"},
            },
        ),
        (
            [Rule("registry.k8s.io/coredns", ["h.example.com/dns"])],
            {"dns": {"imageRepository": "h.example.com/dns"}},
        ),
    ],
)
def test_kubeadm_has_the_repositories_of_its_images(rules, expected):
    config, warnings = rendered(*rules)
    assert config == {**K8S, **expected}
    assert not warnings


@pytest.mark.parametrize(
    "rule",
    [
        Rule("registry.k8s.io/kube-proxy", ["h.example.com/proxy/kube-proxy"]),
        Rule("registry.k8s.io/kube-proxy", ["h.example.com/k8s/proxy"]),
    ],
)
def test_kubeadm_warns_of_an_image_in_another_repository(rule):
    _, warnings = rendered(Rule("registry.k8s.io", ["h.example.com/k8s"]), rule)
    (warning,) = warnings
    assert warning.code is WarningCode.NAMES_DIFFER
    assert warning.misleads
    assert warning.names == (rule.mirrors[0].target,)


def test_kubeadm_keeps_its_own_repository_for_an_image_with_another_name():
    config, warnings = rendered(
        Rule("registry.k8s.io/coredns/coredns", ["h.example.com/dns"]),
        Rule("registry.k8s.io/etcd", ["h.example.com/db/etcd"]),
    )
    assert config == {**K8S, "etcd": {"local": {"imageRepository": "h.example.com/db"}}}
    assert [warning.names for warning in warnings] == [("h.example.com/dns",)]


def test_kubeadm_has_no_file_without_rules_for_its_images():
    assert render_kubeadm(MirrorMap([Rule("quay.io", ["h.example.com"])])).files == ()
