"""kubeadm: the image repositories of ``ClusterConfiguration`` (`v1beta4`_).

kubeadm names its own images, and puts one repository before all of them but CoreDNS and
etcd, which may have one each. So it is the decisions on those names that are rendered.

.. _v1beta4: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Outcome
from webhook.render.output import Code, Deviations, File, Rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.core import MirrorMap

__all__ = ["render_kubeadm"]

PATH: Final = "kubeadm.yaml"
DEFAULT: Final = "registry.k8s.io"
COMPONENTS: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "pause",
)
ETCD: Final = "etcd"
COREDNS: Final = "coredns"
# Only CoreDNS is looked for at another place once imageRepository is set.
AT_DEFAULT: Final = {
    **{name: name for name in (*COMPONENTS, ETCD)},
    COREDNS: "coredns/coredns",
}
DIFFERENT: Final = (
    "kubeadm puts one repository before the names of these images as they are, and the rules do not"
)


def render_kubeadm(mirrors: MirrorMap) -> Rendered:
    """Return the part of kubeadm's ClusterConfiguration that the rules decide on.

    The names of the images that they lead to are noted in it as comments.

    Args:
        mirrors: The rules; all of them count, as only whole names are asked for.
    """
    deviations = Deviations()
    names = {name: decided(mirrors, path) for name, path in AT_DEFAULT.items()}
    repositories = {}
    for name, target in names.items():
        repository, _, last = target.rpartition("/")
        if last == name:
            repositories[name] = repository
        else:
            deviations.note(Code.NAMES_DIFFER, DIFFERENT, target, misleads=True)
    common = repositories.get(COMPONENTS[0], DEFAULT)
    for name in COMPONENTS:
        if repositories.get(name, common) != common:
            deviations.note(Code.NAMES_DIFFER, DIFFERENT, names[name], misleads=True)
    if all(names[name] == f"{DEFAULT}/{path}" for name, path in AT_DEFAULT.items()):
        return Rendered((), deviations())
    text = "\n".join([*lines(names, repositories, common), ""])
    return Rendered((File(PATH, text),), deviations())


def decided(mirrors: MirrorMap, name: str) -> str:
    """Return where the rules send an image of Kubernetes, without a tag."""
    decision = mirrors.decide(f"{DEFAULT}/{name}")
    if decision.outcome is Outcome.REWRITTEN:
        return decision.image
    return f"{DEFAULT}/{name}"


def lines(names: dict[str, str], repositories: dict[str, str], common: str) -> Iterator[str]:
    """Yield the lines of the file."""
    yield "# Written by mirrorhook render kubeadm. The node's runtime takes its pause image"
    yield f"# from its own configuration: {names['pause']} with the tag that kubeadm lists."
    yield "apiVersion: kubeadm.k8s.io/v1beta4"
    yield "kind: ClusterConfiguration"
    if common != DEFAULT:
        yield f"imageRepository: {json.dumps(common)}"
    etcd = repositories.get(ETCD, common)
    if etcd != common:
        yield "etcd:"
        yield "  local:"
        yield f"    imageRepository: {json.dumps(etcd)}"
    coredns = repositories.get(COREDNS, common)
    if coredns != (common if common != DEFAULT else f"{DEFAULT}/{COREDNS}"):
        yield "dns:"
        yield f"  imageRepository: {json.dumps(coredns)}"
