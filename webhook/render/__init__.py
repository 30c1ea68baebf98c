"""The rules in the words of others: container runtimes, kubeadm, the API server itself.

Each target is a function from a map of mirrors to the files that say the same, and to
what they cannot say. Pure: nothing is read or written.
"""

from webhook.render.containerd import render_containerd
from webhook.render.crio import render_crio
from webhook.render.docker import render_docker
from webhook.render.k3s import render_k3s
from webhook.render.kubeadm import render_kubeadm
from webhook.render.output import Code, Deviation, File, Rendered
from webhook.render.policy import (
    ApiVersion,
    PolicyOptions,
    Selection,
    render_enforcement,
    render_policy,
)

__all__ = [
    "ApiVersion",
    "Code",
    "Deviation",
    "File",
    "PolicyOptions",
    "Rendered",
    "Selection",
    "render_containerd",
    "render_crio",
    "render_docker",
    "render_enforcement",
    "render_k3s",
    "render_kubeadm",
    "render_policy",
]
