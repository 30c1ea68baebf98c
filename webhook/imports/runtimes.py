"""Mirrors from the configuration of container runtimes: containerd, CRI-O, k3s and Docker.

Sources: `hosts.toml`_, `registries.conf`_, `registries.yaml`_ and `daemon.json`_.

.. _hosts.toml: https://github.com/containerd/containerd/blob/main/docs/hosts.md
.. _registries.conf: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
.. _registries.yaml: https://docs.k3s.io/installation/private-registry
.. _daemon.json: https://docs.docker.com/reference/cli/dockerd/
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB
from webhook.imports.lines import (
    as_mapping,
    as_texts,
    find_toml_lines,
    get_line,
    parse_documents,
    parse_toml,
)
from webhook.imports.prefixes import DOCKER_HUB_HOSTS, parse_target
from webhook.imports.rule_set import UnreadableFileError

if TYPE_CHECKING:
    from webhook.imports.lines import LineMapping, LineValue
    from webhook.imports.rule_set import RuleSet

__all__ = ["import_daemon_json", "import_hosts_toml", "import_k3s", "import_registries_conf"]

# containerd writes host_5000_ where a folder cannot have a colon.
HOSTS_FOLDER_PORT: Final = re.compile(r"(.+)_(\d+)_")
UNSUPPORTED_HOST_KEYS: Final = ("ca", "client", "skip_verify", "header", "rewrite")

SHORT_NAME_KEYS: Final = ("unqualified-search-registries", "short-name-mode", "aliases")

K3S_EVERYTHING: Final = re.compile(r"\^?\(\.[*+]\)\$?")
K3S_PREFIX: Final = re.compile(r"\^((?:\\[.\-]|[a-z0-9._/-])+?)(?:/\(\.[*+]\)|\(/\.[*]\)\??)\$?")
K3S_GROUP: Final = re.compile(r"\$\{?1\}?$")

DOCKER_KEY: Final = "registry-mirrors"


def import_hosts_toml(text: str, rule_set: RuleSet) -> None:
    """Import a hosts.toml of containerd: mirrors of the registry that its folder is named after.

    Raises:
        UnreadableFileError: It is not TOML.
    """
    content = parse_toml(text)
    registry = _get_hosts_registry(rule_set.origin)
    if "plugins" in content or "registry" in content:
        rule_set.warn(0, "this is a config.toml: import the folder in its config_path")
        return
    if registry == "_default":
        rule_set.warn(
            0, "left out: _default mirrors every registry under its own path, which no rule can do"
        )
        return
    if not registry:
        rule_set.warn(0, "the name of the folder is the registry: give the path as HOST/hosts.toml")
        return
    mirrors = []
    for url, host in content.get("host", {}).items():
        line = next(iter(find_toml_lines(text, f'[host."{url}"]')), 0)
        mirror = _read_host(url, host, line, rule_set)
        if mirror:
            mirrors.append(mirror)
    original = Original.LAST
    overrides_path = bool(content.get("override_path"))
    server = parse_target(str(content.get("server", "")), overrides_path=overrides_path) or ""
    if server not in ("", registry):
        mirrors, original = _append_upstream(mirrors, server, registry)
    if mirrors:
        rule_set.add_mirrors(1, registry, mirrors, original)
    else:
        rule_set.warn(0, "nothing imported: the file has no mirror that a rule can use")


def _get_hosts_registry(origin: str) -> str:
    """Return the registry that the path of a hosts.toml names; empty if it names none."""
    parent = PurePath(origin).parent.name
    port = HOSTS_FOLDER_PORT.fullmatch(parent)
    registry = f"{port[1]}:{port[2]}" if port else parent
    return DOCKER_HUB if registry in DOCKER_HUB_HOSTS else registry


def _read_host(url: str, host: dict[str, Any], line: int, rule_set: RuleSet) -> str:
    """Return the target of a host; empty, with a warning, if it has none."""
    capabilities = [str(each) for each in host.get("capabilities", ["pull", "resolve"])]
    target = parse_target(url, overrides_path=bool(host.get("override_path")))
    for key in UNSUPPORTED_HOST_KEYS:
        if host.get(key):
            rule_set.warn(line, f"left out: {key} of {url} has no equivalent")
    if "pull" not in capabilities:
        rule_set.warn(line, f"left out: {url} does not have the capability pull")
    elif "resolve" not in capabilities:
        rule_set.warn(
            line, f"left out: {url} serves only digests, as it does not have the capability resolve"
        )
    elif target is None:
        rule_set.warn(
            line, f"left out: the scheme or path of {url} cannot be part of an image name"
        )
    else:
        return target
    return ""


def _append_upstream(
    mirrors: list[str], upstream: str, registry: str
) -> tuple[list[str], Original]:
    """Return mirrors and the value of ``original`` for a registry that is asked at *upstream*."""
    mirrors = [*mirrors, upstream]
    original = Original.FIRST if mirrors[0] == registry else Original.NEVER
    return [mirror for mirror in mirrors if mirror != registry], original


def import_registries_conf(text: str, rule_set: RuleSet) -> None:
    """Import a registries.conf, version 2, or a drop-in of it: CRI-O, Podman, Buildah, Skopeo.

    Raises:
        UnreadableFileError: It is not TOML, or version 1 of the format.
    """
    content = parse_toml(text)
    if "registries" in content:
        raise UnreadableFileError(
            "[registries.…] is version 1 of registries.conf, which is no longer supported by "
            "any runtime: convert it to [[registry]]"
        )
    lines = find_toml_lines(text, "[[registry]]")
    for number, registry in enumerate(content.get("registry", [])):
        _import_registry(registry, lines[number] if number < len(lines) else 0, rule_set)
    for key in SHORT_NAME_KEYS:
        if key in content:
            line = next(iter(find_toml_lines(text, key)), 0)
            rule_set.warn(
                line, f"left out: {key} is about short names, which are always on docker.io here"
            )
    if not content.get("registry"):
        rule_set.warn(0, "nothing imported: the file has no [[registry]]")


def _import_registry(registry: dict[str, Any], line: int, rule_set: RuleSet) -> None:
    """Import one registry of a registries.conf: its location is asked after its mirrors."""
    location = str(registry.get("location", "")).rstrip("/")
    prefix = str(registry.get("prefix", "") or location).rstrip("/")
    if registry.get("blocked"):
        rule_set.warn(line, f"left out: {prefix} is blocked, but rules cannot block images")
        return
    mirrors = []
    for mirror in registry.get("mirror", []):
        name = f"the mirror {mirror.get('location')} of {prefix}"
        limit = mirror.get("pull-from-mirror", "all")
        if limit != "all":
            rule_set.warn(line, f"{name} is for {limit}; the rule uses it for every image")
        if mirror.get("insecure"):
            rule_set.warn(line, f"left out: insecure of {name} has no equivalent")
        mirrors.append(str(mirror.get("location", "")).rstrip("/"))
    for key in ("insecure", "mirror-by-digest-only"):
        if registry.get(key):
            rule_set.warn(line, f"left out: {key} of {prefix} has no equivalent")
    original = Original.LAST
    if location not in ("", prefix):
        mirrors, original = _append_upstream(mirrors, location, prefix)
    if mirrors:
        rule_set.add_mirrors(line, prefix, mirrors, original)
    else:
        rule_set.add_keep(line, prefix)


def import_k3s(text: str, rule_set: RuleSet) -> None:
    """Import a registries.yaml of k3s or RKE2."""
    found = False
    for document in parse_documents(text):
        content = as_mapping(document)
        mirrors = as_mapping(content.get("mirrors"))
        found = found or bool(mirrors)
        for registry, entry in mirrors.items():
            _import_k3s_registry(registry, entry, mirrors.lines[registry], rule_set)
        if content.get("configs"):
            rule_set.warn(
                content.lines["configs"],
                "left out: configs (credentials and TLS) has no equivalent",
            )
    if not found:
        rule_set.warn(0, "nothing imported: the file has no mirrors")


def _import_k3s_registry(registry: str, entry: LineValue, line: int, rule_set: RuleSet) -> None:
    known = as_mapping(entry)
    if registry == "*":
        rule_set.warn(
            line, 'left out: "*" mirrors every registry under its own path, which no rule can do'
        )
        return
    hosts = []
    for endpoint in as_texts(known.get("endpoint")):
        target = parse_target(endpoint, overrides_path=True)
        if target is None:
            problem = f"left out: {endpoint} cannot be part of an image name"
            rule_set.warn(endpoint.line, problem)
        else:
            hosts.append(target)
    if not hosts:
        rule_set.warn(line, f"left out: {registry} has no mirror that a rule can use")
        return
    original = Original.LAST
    if hosts[0] == registry and len(hosts) > 1:
        hosts, original = hosts[1:], Original.FIRST
    rewrites = as_mapping(known.get("rewrite"))
    if not rewrites:
        rule_set.add_mirrors(line, registry, hosts, original)
        return
    _import_k3s_rewrites(registry, hosts, original, rewrites, rule_set)
    if not any(K3S_EVERYTHING.fullmatch(pattern) for pattern in rewrites):
        rule_set.warn(
            rewrites.line,
            f"for other names, k3s uses the mirrors of {registry} without a rewrite; the rules "
            "leave those images unchanged",
        )


def _import_k3s_rewrites(
    registry: str, hosts: list[str], original: Original, rewrites: LineMapping, rule_set: RuleSet
) -> None:
    """Import the ``rewrite`` of a registry, which maps regular expressions to paths of *hosts*."""
    for pattern, value in rewrites.items():
        line = get_line(value, rewrites.line)
        replacement = str(value)
        path = K3S_GROUP.sub("", replacement)
        has_group = path != replacement
        prefix = K3S_PREFIX.fullmatch(pattern)
        target = path.strip("/")
        targets = [f"{host}/{target}" if target else host for host in hosts]
        if has_group and K3S_EVERYTHING.fullmatch(pattern):
            rule_set.add_mirrors(line, registry, targets, original)
        elif has_group and prefix:
            literal = prefix[1].replace("\\", "")
            rule_set.add_mirrors(line, f"{registry}/{literal}", targets, original)
        elif "$" not in path:
            regex = f"{re.escape(registry)}/{pattern.removeprefix('^').removesuffix('$')}"
            template = K3S_GROUP.sub(r"\\1", replacement)
            rule_set.add_regex(line, regex, [f"{host}/{template}" for host in hosts], original)
        else:
            problem = f"left out: {pattern} → {replacement} uses more than one group"
            rule_set.warn(line, problem)


def import_daemon_json(text: str, rule_set: RuleSet) -> None:
    """Import ``registry-mirrors`` of Docker's daemon.json: mirrors of Docker Hub."""
    mirrors = []
    line = 0
    for document in parse_documents(text):
        urls = as_mapping(document).get(DOCKER_KEY)
        line = get_line(urls, line)
        for url in as_texts(urls):
            target = parse_target(url, overrides_path=False)
            if target:
                mirrors.append(target)
            else:
                problem = f"left out: {url} cannot be part of an image name"
                rule_set.warn(url.line, problem)
    if mirrors:
        rule_set.add_mirrors(line, DOCKER_HUB, list(dict.fromkeys(mirrors)))
    else:
        rule_set.warn(line, f"nothing imported: {DOCKER_KEY} is empty or missing")
