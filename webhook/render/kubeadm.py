"""kubeadm: the image repositories of ``ClusterConfiguration`` (`v1beta4`_).

kubeadm names its images itself, and puts one repository before all of them except CoreDNS
and etcd, which may have one each. So this asks the rules about those names.

.. _v1beta4: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Outcome
from webhook.render.output import RenderedFile, RenderResult, WarningCode, WarningCollector

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
# Only CoreDNS has another path once imageRepository is set.
DEFAULT_PATHS: Final = {
    **{name: name for name in (*COMPONENTS, ETCD)},
    COREDNS: "coredns/coredns",
}
DIFFERENT: Final = (
    "kubeadm uses one repository for these images and keeps their names, and the rules do not"
)


def render_kubeadm(mirrors: MirrorMap) -> RenderResult:
    """Return the part of kubeadm's ClusterConfiguration that the rules decide on."""
    warnings = WarningCollector()
    names = {name: _decide_name(mirrors, path) for name, path in DEFAULT_PATHS.items()}
    repositories = {}
    for name, target in names.items():
        repository, _, last = target.rpartition("/")
        if last == name:
            repositories[name] = repository
        else:
            warnings.add(WarningCode.NAMES_DIFFER, DIFFERENT, target, misleads=True)
    common = repositories.get(COMPONENTS[0], DEFAULT)
    for name in COMPONENTS:
        if repositories.get(name, common) != common:
            warnings.add(WarningCode.NAMES_DIFFER, DIFFERENT, names[name], misleads=True)
    if all(names[name] == f"{DEFAULT}/{path}" for name, path in DEFAULT_PATHS.items()):
        return RenderResult((), warnings.collect())
    text = "\n".join([*_format_lines(names["pause"], repositories, common), ""])
    return RenderResult((RenderedFile(PATH, text),), warnings.collect())


def _decide_name(mirrors: MirrorMap, path: str) -> str:
    name = f"{DEFAULT}/{path}"
    decision = mirrors.decide(name)
    return decision.image if decision.outcome is Outcome.REWRITTEN else name


def _format_lines(pause: str, repositories: dict[str, str], common: str) -> Iterator[str]:
    yield "# Written by mirrorhook render kubeadm. The pause image is part of the configuration of"
    yield f"# the node's runtime: {pause} with the tag that kubeadm lists."
    yield "apiVersion: kubeadm.k8s.io/v1beta4"
    yield "kind: ClusterConfiguration"
    if common != DEFAULT:
        yield f"imageRepository: {json.dumps(common)}"
    etcd = repositories.get(ETCD, common)
    if etcd != common:
        yield "etcd:"
        yield "  local:"
        yield f"    imageRepository: {json.dumps(etcd)}"
    own = common if common != DEFAULT else f"{DEFAULT}/{COREDNS}"
    coredns = repositories.get(COREDNS, own)
    if coredns != own:
        yield "dns:"
        yield f"  imageRepository: {json.dumps(coredns)}"
