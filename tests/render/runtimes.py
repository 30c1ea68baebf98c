"""The URLs that container runtimes ask, given the rendered files."""

from __future__ import annotations

from tests.render.expectations import normal
from webhook.render import render_containerd, render_crio, render_k3s

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


def find_urls(ask_runtime, runtime, rendered, folder, images):
    """Return the URLs that a runtime asks for each image, given the rendered files."""
    (folder / "certs.d").mkdir(exist_ok=True)
    for file in rendered.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    return ask_runtime(runtime, folder / READ[runtime], map(normal, images))
