"""Mirrors from the configuration of container runtimes: containerd, k3s and Docker.

Sources: `hosts.toml`_, the older `config.toml`_, `registries.yaml`_ and `daemon.json`_.

.. _hosts.toml: https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go
.. _config.toml: https://github.com/containerd/containerd/blob/main/internal/cri/server/images/image_pull.go
.. _registries.yaml: https://github.com/k3s-io/k3s/blob/main/pkg/agent/containerd/config.go
.. _daemon.json: https://docs.docker.com/reference/cli/dockerd/
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from webhook.core.reference import DOCKER_HUB, is_path, looks_like_registry
from webhook.core.regex import fill_groups
from webhook.imports.endpoints import (
    API,
    DOCKER_HUB_HOSTS,
    order_mirrors,
    parse_endpoint,
    read_target,
)
from webhook.imports.lines import (
    as_mapping,
    as_texts,
    find_toml_line,
    get_line,
    get_strings,
    get_table,
    iter_configs,
    parse_documents,
    parse_toml,
)
from webhook.imports.patterns import UnsupportedPatternError, escape
from webhook.imports.replacements import parse_replacement
from webhook.imports.rule_set import ForeignFileError, UnreadableFileError

if TYPE_CHECKING:
    from webhook.core import Original
    from webhook.imports.lines import LineMapping
    from webhook.imports.rule_set import RuleSet

__all__ = ["import_daemon_json", "import_hosts_toml", "import_k3s"]

# containerd writes host_5000_ where a folder cannot have a colon.
HOSTS_FOLDER_PORT: Final = re.compile(r"(.+)_(\d+)_")
HOSTS_DEFAULT: Final = "_default"
UNSUPPORTED_HOST_KEYS: Final = ("ca", "client", "skip_verify", "header", "dial_timeout", "rewrite")
HOSTS_KEYS: Final = ("server", "host", "capabilities", "override_path", *UNSUPPORTED_HOST_KEYS)

CRI_PLUGINS: Final = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "cri")
CRI_UNSUPPORTED_KEYS: Final = ("configs", "auths", "headers")

EVERY_REGISTRY: Final = "*"
DOCKER_KEY: Final = "registry-mirrors"


def import_hosts_toml(text: str, rule_set: RuleSet) -> None:
    """Import a hosts.toml of containerd, or the mirrors in a config.toml.

    A hosts.toml has the mirrors of the registry that its folder is named after.

    Raises:
        UnreadableFileError: It is neither.
    """
    content = parse_toml(text)
    if "plugins" in content:
        _import_config_toml(content, text, rule_set)
        return
    if not any(key in content for key in HOSTS_KEYS):
        raise ForeignFileError("host and no server of a hosts.toml")
    registry = _get_hosts_registry(rule_set.origin)
    if registry != HOSTS_DEFAULT and not looks_like_registry(registry):
        raise UnreadableFileError(
            "the folder of the file is not a registry: give the path as HOST/hosts.toml, as in "
            "certs.d of containerd"
        )
    targets, ends_at_original = _read_hosts(content, registry, text, rule_set)
    name = "" if registry == HOSTS_DEFAULT else registry
    mirrors, original = order_mirrors(name, targets, 1, rule_set, ends_at_original=ends_at_original)
    if not mirrors:
        rule_set.warn(0, "nothing imported: the file has no mirror that a rule can use")
        rule_set.add_exception(0, f"{escape(registry)}/.+")  # _default is not for it
    elif name:
        rule_set.add_mirrors(1, name, mirrors, original)
    else:
        rule_set.add_default(1, [f"{mirror}/\\1" for mirror in mirrors], original)


def _get_hosts_registry(origin: str) -> str:
    """Return the name of the folder of a hosts.toml, which is a registry in certs.d."""
    parent = PurePath(origin).parent.name
    port = HOSTS_FOLDER_PORT.fullmatch(parent)
    registry = f"{port[1]}:{port[2]}" if port else parent
    return DOCKER_HUB if registry in DOCKER_HUB_HOSTS else registry


def _read_hosts(
    content: dict[str, Any], registry: str, text: str, rule_set: RuleSet
) -> tuple[list[str], bool]:
    """Return where containerd asks, in order, and whether it asks the registry itself last."""
    targets = []
    hosts = get_table(content, "host")
    for url in hosts:
        host, line = get_table(hosts, url), find_toml_line(text, f'[host."{url}"]')
        targets.append(_read_host(url, host, line, rule_set))
        for key in filter(host.get, UNSUPPORTED_HOST_KEYS):
            rule_set.warn(line, f"left out: {key} of {url} has no equivalent")
    for key in filter(content.get, UNSUPPORTED_HOST_KEYS):
        line = find_toml_line(text, f"{key}=") or find_toml_line(text, f"[{key}]")
        rule_set.warn(line, f"left out: {key} of the registry itself has no equivalent")
    server = str(content.get("server") or "")
    if not server and "capabilities" not in content:
        return targets, True
    line = find_toml_line(text, "server") or find_toml_line(text, "capabilities")
    upstream = _read_host(server or registry, content, line, rule_set)
    if server and parse_endpoint(server).registry != registry:
        return [*targets, upstream], False
    return targets, bool(upstream)


def _read_host(url: str, host: dict[str, Any], line: int, rule_set: RuleSet) -> str:
    """Return the target of a host; empty, with a warning, if it has none."""
    capabilities = [each.lower() for each in get_strings(host, "capabilities")]
    if capabilities and "pull" not in capabilities:
        problem = f"left out: {url} does not have the capability pull"
    elif capabilities and "resolve" not in capabilities:
        problem = f"left out: {url} serves only digests: it does not have the capability resolve"
    elif host.get("override_path"):
        return read_target(url, line, rule_set, default_path="")
    else:
        api = url.rstrip("/")
        return read_target(api if api.endswith(API) else f"{api}{API}", line, rule_set)
    rule_set.warn(line, problem)
    return ""


def _import_config_toml(content: dict[str, Any], text: str, rule_set: RuleSet) -> None:
    """Import the mirrors in a config.toml, which were there before certs.d.

    Raises:
        UnreadableFileError: It has none.
    """
    plugins = get_table(content, "plugins")
    tables = [get_table(get_table(plugins, name), "registry") for name in CRI_PLUGINS]
    tables = [each for each in tables if each]
    if any(each.get("config_path") for each in tables):
        raise UnreadableFileError(
            "this is a config.toml with a config_path: import the folder that it names"
        )
    mirrors = {key: each for table in tables for key, each in get_table(table, "mirrors").items()}
    if not mirrors:
        raise UnreadableFileError(
            "this is a config.toml without mirrors: import the folder in its config_path"
        )
    for table in tables:
        for key in CRI_UNSUPPORTED_KEYS:
            if table.get(key):
                problem = f"left out: {key} (credentials, TLS and headers) has no equivalent"
                rule_set.warn(_find_cri_line(text, key), problem)
    for registry in mirrors:
        urls = get_strings(get_table(mirrors, registry), "endpoint")
        _import_cri_mirror(registry, urls, _find_cri_line(text, f"mirrors.{registry}"), rule_set)


def _import_cri_mirror(registry: str, urls: list[str], line: int, rule_set: RuleSet) -> None:
    targets = [read_target(url, line, rule_set) for url in urls]
    name = "" if registry == EVERY_REGISTRY else registry
    mirrors, original = order_mirrors(name, targets, line, rule_set)
    if mirrors and name:
        rule_set.add_mirrors(line, name, mirrors, original)
    elif mirrors:
        rule_set.add_default(line, [f"{mirror}/\\1" for mirror in mirrors], original)
    else:
        rule_set.add_exception(line, f"{escape(registry)}/.+")  # "*" is not for it


def _find_cri_line(text: str, key: str) -> int:
    """Return the line of a table of the registry's configuration, or of a key in it."""
    pattern = re.compile(rf"\[plugins\..*registry\.{re.escape(key)}[\].]")
    for number, line in enumerate(text.splitlines(), 1):
        plain = re.sub(r"[\s'\"]", "", line)
        if pattern.match(plain) or plain.startswith(f"{key}="):
            return number
    return 0


def import_k3s(text: str, rule_set: RuleSet) -> None:
    """Import a registries.yaml of k3s or RKE2.

    Raises:
        UnreadableFileError: It has neither mirrors nor configs.
    """
    found = False
    for content in iter_configs(text):
        mirrors, configs = as_mapping(content.get("mirrors")), as_mapping(content.get("configs"))
        found = found or "mirrors" in content or "configs" in content
        if configs:
            rule_set.warn(
                content.lines["configs"],
                "left out: configs (credentials and TLS) has no equivalent",
            )
        for registry, config in configs.items():
            # A registry with settings of its own has a hosts.toml, and no mirror of "*".
            if config and not mirrors.get(registry) and registry != EVERY_REGISTRY:
                rule_set.add_exception(configs.lines[registry], f"{escape(registry)}/.+")
        for registry in sorted(mirrors, key=EVERY_REGISTRY.__eq__):
            entry, line = as_mapping(mirrors[registry]), mirrors.lines[registry]
            _import_k3s_registry(registry, entry, line, rule_set)
    if not found:
        raise ForeignFileError("mirrors of a registries.yaml")


def _import_k3s_registry(registry: str, entry: LineMapping, line: int, rule_set: RuleSet) -> None:
    name = "" if registry == EVERY_REGISTRY else registry
    targets = [read_target(url, url.line, rule_set) for url in as_texts(entry.get("endpoint"))]
    hosts, original = order_mirrors(name, targets, line, rule_set)
    if not hosts:
        rule_set.warn(line, f"left out: {registry} has no mirror that a rule can use")
        if any(each != registry for each in targets):
            rule_set.add_exception(line, f"{escape(registry)}/.+")
        return
    rewrites = as_mapping(entry.get("rewrite"))
    is_complete = _import_k3s_rewrites(name, hosts, original, rewrites, rule_set)
    if is_complete:
        return
    if name:
        rule_set.add_mirrors(line, name, hosts, original)
    else:
        rule_set.add_default(line, [f"{host}/\\1" for host in hosts], original)


def _import_k3s_rewrites(
    registry: str, hosts: list[str], original: Original, rewrites: LineMapping, rule_set: RuleSet
) -> bool:
    """Import rewrites of the repository at *hosts*; return whether they are for every image.

    An image that none matches is at *hosts* under its own repository.
    """
    is_complete = False
    for pattern, value in rewrites.items():
        line = get_line(value, rewrites.lines[pattern])
        try:
            replacement = parse_replacement(pattern, str(value or ""), registry or EVERY_REGISTRY)
        except UnsupportedPatternError as error:
            rule_set.warn(line, f"left out: {pattern} → {value}: {error}")
            continue
        for note in replacement.notes:
            rule_set.warn(line, f"{pattern}: {note}")
        everything = replacement.prefix == (registry or EVERY_REGISTRY)
        is_complete = is_complete or everything
        sample = fill_groups(replacement.template, "x").strip("/")
        if registry and not is_path(sample):  # no image is there, so k3s asks the registry itself
            rule_set.add_regex(line, replacement.regex, (), literals=replacement.literals)
            continue
        if registry and replacement.prefix:
            path = replacement.target.strip("/")
            targets = [f"{host}/{path}" if path else host for host in hosts]
            rule_set.add_mirrors(line, replacement.prefix, targets, original)
            continue
        templates = [f"{host}/{replacement.template.lstrip('/')}" for host in hosts]
        if registry:
            rule_set.add_regex(line, replacement.regex, templates, original, replacement.literals)
            continue
        regex = replacement.regex.replace(f"{escape(EVERY_REGISTRY)}/", "[^/]+/", 1)
        if everything:
            rule_set.add_default(line, templates, original, regex)
        else:
            rule_set.add_exception(line, regex, templates, original)
    return is_complete


def import_daemon_json(text: str, rule_set: RuleSet) -> None:
    """Import ``registry-mirrors`` of Docker's daemon.json: mirrors of Docker Hub.

    Raises:
        UnreadableFileError: It has none.
    """
    targets: list[str] = []
    line = 0
    for document in parse_documents(text):
        urls = as_mapping(document).get(DOCKER_KEY)
        line = get_line(urls, line)
        targets += (
            read_target(f"{url.rstrip('/')}{API}", url.line, rule_set) for url in as_texts(urls)
        )
    if not line:
        raise ForeignFileError(DOCKER_KEY)
    mirrors, original = order_mirrors(DOCKER_HUB, targets, line, rule_set)
    if mirrors:
        rule_set.add_mirrors(line, DOCKER_HUB, mirrors, original)
    else:
        rule_set.warn(line, f"nothing imported: {DOCKER_KEY} has no mirror that a rule can use")
