"""What a node's runtime asks for, once a file of ours is where it reads it."""

from __future__ import annotations

from tests.render.expecting import normal
from webhook.render import render_containerd, render_crio, render_k3s

__all__ = ["RENDERERS", "asked_with"]

RENDERERS = {
    "containerd": render_containerd,
    "crio": render_crio,
    "k3s": render_k3s,
}
READ = {
    "containerd": "certs.d",
    "crio": "registries.conf.d/50-mirrorhook.conf",
    "k3s": "registries.yaml",
}


def asked_with(asks, runtime, rendered, folder, images):
    """The URLs that a runtime asks for each image, with what was rendered for it."""
    (folder / "certs.d").mkdir(exist_ok=True)
    for file in rendered.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    return asks(runtime, folder / READ[runtime], map(normal, images))
