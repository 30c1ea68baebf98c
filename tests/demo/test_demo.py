"""The output of `make demo`."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import pytest

from tests.server.process import ROOT


def spent():
    """Return the CPU seconds of child processes, as other tests run at the same time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def shown():
    began = spent()
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert spent() - began < 10
    assert done.stderr == ""
    return done.stdout


def test_demo_shows_every_pod(shown):
    assert re.findall(r"^Pod (\S+)/", shown, re.MULTILINE) == [
        "control-plane",
        "ingress-nginx",
        "shop",
        "models",
    ]


@pytest.mark.parametrize(
    ("name", "after", "why"),
    [
        ("kube-apiserver", "harbor.example.com/k8s/kube-apiserver:v1.37.2", "rule reg"),
        ("coredns", "harbor.example.com/k8s/coredns/coredns:v1.8.6", "rule k8s.gcr.io → "),
        ("istio-init", "harbor.example.com/dockerhub/istio/proxyv2:1.27.1", "rule docker"),
        ("wait-for-redis", "harbor.example.com/dockerhub/library/busybox", "rule docker"),
        ("redis", "harbor.example.com/dockerhub/bitnamilegacy/redis:7.4.2", "rule docker"),
        ("shop", "unchanged", "rule quay.io/our-team keeps it"),
        ("metrics", "unchanged", "no rule matches localhost:5000/exporter"),
        ("tokenizer", "unchanged", "its pull policy is Never"),
        ("typo", "unchanged", "must be in lower case"),
        ("volume:weights", "harbor.example.com/quay/models/qwen:3-8b", "rule quay.io"),
    ],
)
def test_demo_shows_every_image_with_its_reason(shown, name, after, why):
    (line,) = re.findall(rf"^{re.escape(name)} .*$", shown, re.MULTILINE)
    assert after in line
    assert why in line


def test_demo_keeps_tag_and_digest(shown):
    assert "/controller:v1.13.0@sha256:dc75a7ba" in shown


def test_demo_shows_the_warning_for_an_invalid_image(shown):
    assert "Warning: mirrorhook: image of typo unchanged" in shown


def test_demo_without_terminal_has_no_colours(shown):
    assert "\x1b" not in shown
