"""Rules for tests, and where their images should come from."""

from __future__ import annotations

import json
from pathlib import Path

from webhook.core import Mirror, MirrorMap, Original, Rule, parse_reference
from webhook.profiles import PROFILES

CASES = json.loads((Path(__file__).parents[1] / "cases/images.json").read_text())
DIGEST = "sha256:" + "0123456789abcdef" * 4
EXTRA = (
    "nginx",
    "bitnami/redis:7.2",
    "bitnamilegacy/redis:7.2",
    "bitnami/charts/deep:1",
    "bitnamis/redis:7.2",
    "bit",
    "grafana/grafana:11.0.0@" + DIGEST,
    "gcr.io/distroless/static:nonroot",
    "eu.gcr.io/project/app:1",
    "a.b.gcr.io/project/app:1",
    "mirror.gcr.io/library/busybox",
    "registry.k8s.io/pause:3.10",
    "registry.k8s.io/coredns/coredns:v1.11.1",
    "registry.k8s.io/ingress-nginx/controller:v1.13.2@" + DIGEST,
    "quay.io/our-team/app",
    "quay.io/jetstack/cert-manager-controller:v1.15.0",
    "registry.example.com:5000/team/app:1",
    "harbor.example.com/dockerhub/library/nginx:1",
)
IMAGES = tuple(dict.fromkeys((*EXTRA, *(case["image"] for case in CASES))))

OWN = {
    "paths": [
        Rule("docker.io", ["harbor.example.com/dockerhub", "mirror.gcr.io"]),
        Rule("quay.io", ["harbor.example.com/quay"]),
        Rule("registry.k8s.io", ["harbor.example.com/a/b/k8s", "k8s.example.org"]),
    ],
    "parts": [
        Rule("docker.io", ["harbor.example.com/hub"]),
        Rule("docker.io/bitnami", ["harbor.example.com/legacy"]),
        Rule("docker.io/bitnami/charts", ["harbor.example.com/charts"]),
        Rule("quay.io", ["harbor.example.com"]),
        Rule("quay.io/our-team", keep=True),
        Rule("registry.k8s.io/coredns", ["harbor.example.com/dns"]),
    ],
    "moves": [
        Rule("docker.io/bitnami", ["docker.io/bitnamilegacy"]),
        Rule("docker.io", ["harbor.example.com/dockerhub"]),
        Rule("k8s.gcr.io", ["registry.k8s.io"]),
        Rule("registry.k8s.io", ["harbor.example.com/k8s"]),
    ],
    "everything": [
        Rule("*", ["cache.example.com/all"]),
        Rule("*.gcr.io", ["harbor.example.com/gcr"]),
        Rule("eu.gcr.io", ["harbor.example.com/eu"]),
        Rule("quay.io", keep=True),
    ],
    "flat": [
        Rule("registry.k8s.io", [Mirror("flat.example.com/k8s", flatten=True)]),
        Rule("gcr.io", [Mirror("flat.example.com", flatten=True), "b.example.com/gcr"]),
    ],
    "orders": [
        Rule("docker.io", ["a.example.com/x", "b.example.com"], original=Original.FIRST),
        Rule("quay.io", ["a.example.com/x", "b.example.com"], original=Original.NEVER),
        Rule("gcr.io", ["a.example.com/x"], original=Original.NEVER),
    ],
    "flat parts": [
        Rule("docker.io", ["a.example.com/hub/x", "b.example.com/y"]),
        Rule(
            "docker.io/bitnami",
            [
                Mirror("a.example.com/hub/z", flatten=True),
                Mirror("b.example.com/z", flatten=True),
            ],
        ),
        Rule("quay.io", ["a.example.com/q/r", "b.example.com/r"]),
        Rule("quay.io/jetstack", ["a.example.com/q/s", "b.example.com/s"]),
        Rule("gcr.io", ["a.example.com"]),
        Rule("gcr.io/distroless", ["a.example.com"]),
    ],
    "a flat part": [
        Rule("docker.io", ["a.example.com/hub"]),
        Rule("docker.io/bitnami", [Mirror("a.example.com/flat", flatten=True)]),
        Rule("docker.io/bitnami/charts", ["a.example.com/charts"]),
    ],
    "only parts": [
        Rule("docker.io/bitnami", ["a.example.com/x/legacy", "b.example.com/x/legacy"]),
        Rule("docker.io/bitnami/charts", keep=True),
        Rule("docker.io/library", ["a.example.com/x/lib", "b.example.com/x/lib"]),
        Rule("docker.io/grafana", ["c.example.com"]),
        Rule("quay.io/jetstack", [Mirror("a.example.com/flat", flatten=True)]),
        Rule("gcr.io/distroless", ["a.example.com/x", "b.example.com"], original=Original.FIRST),
        Rule("ghcr.io/team", ["a.example.com/x", "b.example.com/y"]),
        Rule("registry.k8s.io", ["a.example.com/k8s", "b.example.com/k8s"]),
        Rule("registry.k8s.io/coredns", keep=True),
        Rule("registry.k8s.io/ingress-nginx", ["c.example.com/ingress"]),
    ],
    "parts of Docker Hub with different paths": [
        Rule("docker.io/bitnami", ["a.example.com/x", "b.example.com/y"]),
        Rule("docker.io/library", ["a.example.com"]),
    ],
    "wildcards": [
        Rule("*.gcr.io", ["h.example.com/gcr"]),
        Rule("*.gcr.io/project", keep=True),
        Rule("*.example.com:5000", ["h.example.com/port"]),
    ],
    "regex": [
        Rule(regex=r"docker\.io/grafana/(.+)", mirrors=[r"g.example.com/\1"]),
        Rule("quay.io", ["localhost:5000/quay"]),
    ],
}
RULES = {
    "none": MirrorMap([]),
    **{name: MirrorMap(rules) for name, rules in OWN.items()},
    **{name: MirrorMap(profile.rules) for name, profile in PROFILES.items()},
    "all": MirrorMap(
        {rule.name: rule for profile in PROFILES.values() for rule in profile.rules}.values()
    ),
}


def normal(image):
    """Return an image as runtimes pass it on: in normal form, with a tag or digest."""
    reference = parse_reference(image)
    bare = reference.tag is None and reference.digest is None
    return f"{reference}:latest" if bare else str(reference)


def url(reference):
    """Return the URL of the manifest of a reference."""
    hub = reference.registry == "docker.io"
    registry = "registry-1.docker.io" if hub else reference.registry
    scheme = "http" if registry.startswith("localhost:") else "https"
    version = reference.digest or reference.tag or "latest"
    return f"{scheme}://{registry}/v2/{reference.repository}/manifests/{version}"


def expected(mirrors, image):
    """Return the URLs of an image by the rules, in order and with that of its own registry."""
    reference = parse_reference(normal(image))
    decision = mirrors.decide(image)
    urls = [url(candidate.reference) for candidate in decision.candidates]
    original = decision.rule.original if decision.rule else Original.LAST
    if original is Original.FIRST:
        return [url(reference), *urls]
    if original is Original.NEVER and urls:
        return urls
    return [*urls, url(reference)]


def is_warned_of(rendered, image, mirrors):
    """Return whether a warning says that the rendered files differ for an image."""
    name = parse_reference(image).name
    decision = mirrors.decide(image)
    rule = decision.rule.name if decision.rule else ""
    return any(
        named == rule or is_below(name, named.partition(" → ")[0])
        for warning in rendered.warnings
        for named in warning.names
    )


def is_below(name, prefix):
    """Return whether a name is below a prefix, which may be a wildcard."""
    if not prefix.startswith("*."):
        return name == prefix or name.startswith(f"{prefix}/")
    registry, _, path = name.partition("/")
    domain, _, within = prefix[1:].partition("/")
    return registry.endswith(domain) and f"{path}/".startswith(f"{within}/" if within else "")
