"""Rules from the files of other tools, with warnings about what has no equivalent."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from webhook.imports.formatting import format_resource, format_rules
from webhook.imports.imageswap import import_imageswap
from webhook.imports.kuik import import_kube_image_keeper
from webhook.imports.kyverno import import_kyverno
from webhook.imports.registries import import_openshift, import_registries_conf
from webhook.imports.rule_set import FileWarning, RuleSet, UnreadableFileError
from webhook.imports.runtimes import import_daemon_json, import_hosts_toml, import_k3s
from webhook.imports.webhooks import (
    import_harbor_container_webhook,
    import_k8s_image_swapper,
    import_mutating_registry_webhook,
    import_registry_proxy,
    import_repimage,
)

__all__ = [
    "FORMATS",
    "FileWarning",
    "RuleSet",
    "UnreadableFileError",
    "format_resource",
    "format_rules",
]

# Each adds the rules in the text of a file to a rule set.
FORMATS: Final[Mapping[str, Callable[[str, RuleSet], None]]] = MappingProxyType(
    {
        "imageswap": import_imageswap,
        "harbor-container-webhook": import_harbor_container_webhook,
        "kube-image-keeper": import_kube_image_keeper,
        "mutating-registry-webhook": import_mutating_registry_webhook,
        "repimage": import_repimage,
        "registry-proxy": import_registry_proxy,
        "k8s-image-swapper": import_k8s_image_swapper,
        "kyverno": import_kyverno,
        "openshift": import_openshift,
        "registries.conf": import_registries_conf,
        "hosts.toml": import_hosts_toml,
        "k3s": import_k3s,
        "daemon.json": import_daemon_json,
    }
)
