"""The rules in the configuration of other programs: container runtimes, kubeadm, API server.

Each target is a function from rules to files, with warnings about what the files cannot
express. Pure: nothing is read or written.
"""

from webhook.render.containerd import render_containerd
from webhook.render.crio import render_crio
from webhook.render.docker import render_docker
from webhook.render.k3s import render_k3s
from webhook.render.kubeadm import render_kubeadm
from webhook.render.output import RenderedFile, RenderResult, RenderWarning, WarningCode
from webhook.render.policy import (
    ApiVersion,
    PolicyOptions,
    Selection,
    render_enforcement,
    render_policy,
)

__all__ = [
    "ApiVersion",
    "PolicyOptions",
    "RenderResult",
    "RenderWarning",
    "RenderedFile",
    "Selection",
    "WarningCode",
    "render_containerd",
    "render_crio",
    "render_docker",
    "render_enforcement",
    "render_k3s",
    "render_kubeadm",
    "render_policy",
]
