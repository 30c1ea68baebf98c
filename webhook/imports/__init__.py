"""Rules from the files of other tools: what they say, and what has no equivalent here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from webhook.imports.containerd import from_hosts_toml
from webhook.imports.docker import from_daemon_json
from webhook.imports.harbor import from_harbor_container_webhook
from webhook.imports.imageswap import from_imageswap
from webhook.imports.k3s import from_k3s
from webhook.imports.kuik import from_kube_image_keeper
from webhook.imports.kyverno import from_kyverno
from webhook.imports.registries_conf import from_registries_conf
from webhook.imports.registry_proxy import from_registry_proxy
from webhook.imports.repimage import from_repimage
from webhook.imports.rewrite_rules import from_mutating_registry_webhook
from webhook.imports.sketch import Remark, Sketch, UnreadableFileError
from webhook.imports.writing import written

__all__ = ["FORMATS", "Reader", "Remark", "Sketch", "UnreadableFileError", "written"]

Reader = Callable[[str, Sketch], None]

# Each reads the text of a file, and sketches what it says.
FORMATS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "imageswap": from_imageswap,
        "harbor-container-webhook": from_harbor_container_webhook,
        "kube-image-keeper": from_kube_image_keeper,
        "mutating-registry-webhook": from_mutating_registry_webhook,
        "repimage": from_repimage,
        "registry-proxy": from_registry_proxy,
        "kyverno": from_kyverno,
        "registries.conf": from_registries_conf,
        "hosts.toml": from_hosts_toml,
        "k3s": from_k3s,
        "daemon.json": from_daemon_json,
    }
)
