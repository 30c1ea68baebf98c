"""Alibaba Cloud's flat copies of the images of Kubernetes itself.

The namespace is filled by hand, and whatever is not there could be put there by
others (ustclug/mirrorhelp#158). So nothing but the images that kubeadm pulls is
sent to it, each by its whole name.
"""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["ALIYUN_GOOGLE_CONTAINERS"]

NAME: Final = "aliyun-google-containers"

REGISTRIES: Final = ("registry.k8s.io", "k8s.gcr.io")
IMAGES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "pause",
    "etcd",
    "coredns/coredns",
)
TARGETS: Final = (
    "registry.aliyuncs.com/google_containers",
    "registry.cn-hangzhou.aliyuncs.com/google_containers",
)

ALIYUN_GOOGLE_CONTAINERS: Final = Profile(
    name=NAME,
    title="Alibaba Cloud, the images that kubeadm pulls",
    source="https://github.com/ustclug/mirrorhelp/issues/158",
    date="2026-11",
    status=Status.OPEN,
    note="Anybody may pull; it is filled by hand, and new versions may be missing.",
    conditions=(
        "It is no proxy: names are flat, so only these images are sent there.",
        "Compare digests with registry.k8s.io before trusting it.",
    ),
    rules=mirrored(
        NAME,
        {f"{registry}/{image}": TARGETS for registry in REGISTRIES for image in IMAGES},
        flatten=True,
    ),
)
