"""The registry products that `mirrorhook init` knows, and how each names its mirrors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_UPSTREAMS", "PRODUCTS", "Product", "guess_product"]

DEFAULT_UPSTREAMS: Final = (
    "docker.io",
    "registry.k8s.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "mcr.microsoft.com",
)
# What most people call the mirror of a registry.
SHORT_NAMES: Final = {
    "docker.io": "dockerhub",
    "registry.k8s.io": "k8s",
    "ghcr.io": "ghcr",
    "quay.io": "quay",
    "gcr.io": "gcr",
    "mcr.microsoft.com": "mcr",
    "public.ecr.aws": "ecr-public",
    "registry.gitlab.com": "gitlab",
    "nvcr.io": "nvcr",
}


@dataclass(frozen=True, slots=True)
class Product:
    """A registry product.

    Attributes:
        title: Its name, for people.
        setup: What to create in it for each mirror, as lines of a comment; ``{upstream}`` and
            ``{path}`` are the first registry and the path of its mirror.
        hosts: A regular expression for hosts that only this product has.
        suffix: What its users add to the short name of a mirror.
        names: Its own names of mirrors, by upstream registry.
        caches: The only registries that it can cache; empty for all.
        needs_path: What the path after the host is, if the product always has one.
        uses_upstream_names: Whether mirrors are named by the registry itself.
        flattens: Whether it has no folders, so that images keep only the last part of their names.
    """

    title: str
    setup: tuple[str, ...]
    hosts: str = ""
    suffix: str = ""
    names: tuple[tuple[str, str], ...] = ()
    caches: tuple[str, ...] = ()
    needs_path: str = ""
    uses_upstream_names: bool = False
    flattens: bool = False

    def name_mirror(self, upstream: str) -> str:
        """Return the path of the mirror of a registry."""
        if self.uses_upstream_names:
            return upstream
        short = SHORT_NAMES.get(upstream, re.sub(r"[^a-z0-9]+", "-", upstream).strip("-"))
        return dict(self.names).get(upstream, short + self.suffix)

    def can_cache(self, upstream: str) -> bool:
        """Return whether the product fetches images of a registry by itself."""
        return not self.caches or upstream in self.caches

    def default_upstreams(self) -> tuple[str, ...]:
        """Return the usual registries that it can cache."""
        return tuple(filter(self.can_cache, DEFAULT_UPSTREAMS))


PRODUCTS: Final = {
    "harbor": Product(
        title="Harbor",
        hosts=r"harbor\..+|.+\.goharbor\.io",
        setup=(
            "For each mirror, create a registry endpoint for the upstream registry, and a project",
            "with the name below, with Proxy Cache on and this endpoint.",
        ),
    ),
    "artifactory": Product(
        title="Artifactory",
        hosts=r".+\.jfrog\.io|artifactory\..+",
        suffix="-remote",
        setup=(
            "For each mirror, create a remote Docker repository named as below for the upstream",
            "registry. The names are for the repository path method; with subdomains, write",
            "dockerhub-remote.HOST instead of HOST/dockerhub-remote.",
        ),
    ),
    "nexus": Product(
        title="Nexus Repository",
        hosts=r"nexus\..+",
        suffix="-proxy",
        setup=(
            "For each mirror, create a docker (proxy) repository with the name below, with",
            "path-based routing. With a connector for each repository instead, write HOST:PORT.",
        ),
    ),
    "ecr": Product(
        title="Amazon ECR",
        hosts=r"[0-9]+\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?",
        names=(
            ("docker.io", "docker-hub"),
            ("registry.k8s.io", "kubernetes"),
            ("ghcr.io", "github"),
        ),
        caches=(
            "docker.io",
            "registry.k8s.io",
            "ghcr.io",
            "quay.io",
            "public.ecr.aws",
            "registry.gitlab.com",
        ),
        setup=(
            "For each mirror, create a pull through cache rule with the prefix below. Docker Hub,",
            "GitHub and GitLab need credentials in AWS Secrets Manager.",
        ),
    ),
    "gar": Product(
        title="Google Artifact Registry",
        hosts=r"[a-z0-9-]+-docker\.pkg\.dev",
        needs_path="the project, as in europe-docker.pkg.dev/my-project",
        setup=(
            "For each mirror, create a remote repository of the format Docker with the name below,",
            "for the upstream registry.",
        ),
    ),
    "acr": Product(
        title="Azure Container Registry",
        hosts=r"[a-z0-9-]+\.azurecr\.(io|cn|us)",
        setup=(
            "For each mirror, create a cache rule from the upstream registry to the path below,",
            "for example from {upstream}/* to {path}/*. Docker Hub needs a credential set.",
        ),
    ),
    "alibaba": Product(
        title="Alibaba Cloud Container Registry",
        hosts=r"(.+\.)?aliyuncs\.com",
        flattens=True,
        setup=(
            "For each mirror, create a namespace with the name below. It has no folders, so images",
            "keep only the last part of their names, and two with the same last part collide.",
            "It does not fetch images by itself: `mirrorhook copy` fills it.",
        ),
    ),
    "quay": Product(
        title="Quay",
        hosts=r"quay\..+",
        setup=(
            "For each mirror, create an organization with the name below, and make it a proxy",
            "cache of the upstream registry in its settings.",
        ),
    ),
    "other": Product(
        title="a registry",
        uses_upstream_names=True,
        setup=(
            "Each image is expected under the name of its registry, as in HOST/docker.io/library/",
            "nginx. `mirrorhook copy` fills a registry that does not fetch images by itself.",
        ),
    ),
}


def guess_product(registry: str) -> str:
    """Return the product that a host belongs to, or ``other``."""
    host = registry.partition("/")[0].partition(":")[0]
    for name, product in PRODUCTS.items():
        if product.hosts and re.fullmatch(product.hosts, host):
            return name
    return "other"
