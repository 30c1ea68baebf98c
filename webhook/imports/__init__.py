"""Rules from the files of other tools, with warnings about what has no equivalent."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from webhook.imports.rule_set import FileWarning, RuleSet, UnreadableFileError, format_rules
from webhook.imports.runtimes import (
    import_daemon_json,
    import_hosts_toml,
    import_k3s,
    import_registries_conf,
)
from webhook.imports.webhooks import (
    import_harbor_container_webhook,
    import_imageswap,
    import_kube_image_keeper,
    import_kyverno,
    import_mutating_registry_webhook,
    import_registry_proxy,
    import_repimage,
)

__all__ = ["FORMATS", "FileWarning", "RuleSet", "UnreadableFileError", "format_rules"]

# Each adds the rules in the text of a file to a rule set.
FORMATS: Final[Mapping[str, Callable[[str, RuleSet], None]]] = MappingProxyType(
    {
        "imageswap": import_imageswap,
        "harbor-container-webhook": import_harbor_container_webhook,
        "kube-image-keeper": import_kube_image_keeper,
        "mutating-registry-webhook": import_mutating_registry_webhook,
        "repimage": import_repimage,
        "registry-proxy": import_registry_proxy,
        "kyverno": import_kyverno,
        "registries.conf": import_registries_conf,
        "hosts.toml": import_hosts_toml,
        "k3s": import_k3s,
        "daemon.json": import_daemon_json,
    }
)
