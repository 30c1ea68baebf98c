"""Warnings about policies and rules that are valid but may be a mistake."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from webhook.config.models import DEFAULT_POLICY
from webhook.core import InvalidReferenceError, parse_reference
from webhook.core.reference import DOCKER_HUB, OFFICIAL, looks_like_registry
from webhook.core.rules import API_PATH, suggest_match
from webhook.profiles import PROFILES, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from webhook.config.errors import Diagnostics, SourceLocation
    from webhook.config.models import PolicySettings
    from webhook.config.rules import LocatedRule
    from webhook.core import Match, MirrorMap, Rule

__all__ = ["lint_policies", "lint_profiles", "lint_rules"]

MAX_NAMES: Final = 3
DEFAULT_PORTS: Final = ("80", "443")
MAX_TAG: Final = 1023  # a "port" up to here is a tag: registries use higher ones, or the defaults
ARTIFACTORY_PATH: Final = "artifactory/api/docker/"
HUB_REGEX: Final = DOCKER_HUB.replace(".", r"\.")
# The most used of https://github.com/docker-library/official-images; each is also an organisation.
OFFICIAL_IMAGES: Final = frozenset(
    """
    adminer alpine amazoncorretto amazonlinux archlinux bash buildpack-deps busybox caddy cassandra
    centos composer consul couchdb debian docker drupal eclipse-mosquitto eclipse-temurin
    elasticsearch elixir erlang fedora flink fluentd gcc ghost golang gradle haproxy hello-world
    httpd influxdb jenkins jetty joomla julia kibana kong logstash mariadb maven memcached mongo
    mongo-express mysql nats neo4j nextcloud nginx node odoo openjdk oraclelinux percona perl php
    phpmyadmin postgres python rabbitmq redis registry rockylinux ruby rust solr sonarqube spark
    swift telegraf tomcat traefik ubuntu varnish vault wordpress zookeeper
    """.split()  # noqa: SIM905 - one name per line would be 80 lines
)

# Regular expressions, and parts of them.
QUOTED: Final = r"\Q"
ANCHORS: Final = re.compile(r"^\^|\$$")
LITERAL: Final = re.compile(r"[a-z0-9./_:-]+")
NO_NAMES: Final = re.compile(r"\[[^]]*\]|\(\?[a-zA-Z-]*:")  # colons that are not of a tag
ANYTHING: Final = re.compile(r"\.[*+{?]|\[\^|\\[A-Z]")
GLOB: Final = re.compile(r"/\*+")
BARE_DOT: Final = re.compile(r"(?<![\w\\-])[a-z0-9-]+(?:\.[a-z0-9-]+)+(?![*+?{\w-])")


def lint_policies(
    policies: Collection[PolicySettings],
    locations: Mapping[str, SourceLocation],
    diagnostics: Diagnostics,
) -> None:
    """Warn about policies without rules; an empty default is fine if there are others."""
    for policy in policies:
        if not policy.mirrors.rules and (policy.name != DEFAULT_POLICY or len(policies) == 1):
            warning = f"policy {policy.name} has no rules: it changes nothing"
            diagnostics.add_warning(locations[policy.name], warning)


def lint_profiles(profiles: Mapping[str, SourceLocation], diagnostics: Diagnostics) -> None:
    """Warn about profiles whose mirrors are not open to everybody."""
    for name, location in profiles.items():
        profile = PROFILES[name]
        if profile.status is not Status.OPEN:
            status = f"{profile.status} (as of {profile.date})"
            diagnostics.add_warning(location, f"profile {name} is {status}: {profile.note}")


def lint_rules(rules: Iterable[LocatedRule], mirrors: MirrorMap, diagnostics: Diagnostics) -> None:
    """Warn about rules that apply to nothing, or to more than may be meant.

    Args:
        rules: The rules of the file.
        mirrors: All rules of the policy, with those of profiles.
        diagnostics: Where the warnings are added.
    """
    for rule, location in rules:
        if rule.match is not None and rule.match.is_catch_all:
            _lint_catch_all(mirrors, location, diagnostics)
        for check in (_iterate_match_warnings, _iterate_regex_warnings, _iterate_mirror_warnings):
            warning = next(check(rule), "")  # the first mistake hides those that follow from it
            if warning:
                diagnostics.add_warning(location, warning)


def _iterate_match_warnings(rule: Rule) -> Iterator[str]:
    """Yield why a rule does not match what its match seems to be for."""
    match = rule.match
    if match is None or match.is_catch_all:
        return
    domain = match.registry.removeprefix("*.")
    host, _, port = domain.rpartition(":") if ":" in domain else (domain, "", "")
    suggestion = suggest_match(str(match))
    if not looks_like_registry(match.registry):
        yield _describe_hub_match(match)
    if "." not in domain and port not in DEFAULT_PORTS and 0 < int(port or 0) <= MAX_TAG:
        yield (
            f"match {match} is the registry {host!r} on port {port}; for the image write match: "
            f"{suggest_match(host)}"
        )
    if _is_docker_hub(host) and match.registry != DOCKER_HUB:
        yield (
            f"match {match} does not match images of Docker Hub, whose registry is {DOCKER_HUB} in "
            f"image names: write match: {'/'.join(filter(None, (DOCKER_HUB, match.path)))}"
        )
    if domain != domain.lower():
        yield (
            f"match {match} matches only images whose host has the same capital letters: write "
            f"match: {suggestion}"
        )
    if "." in host and port in DEFAULT_PORTS:
        yield (
            f"match {match} matches only images that are written with the port: if they are not, "
            f"write match: {str(match).replace(f':{port}', '', 1)}"
        )
    if match.registry == DOCKER_HUB and match.path in OFFICIAL_IMAGES:
        yield (
            f"match {match} is for the images of an organisation, such as {match}/{match.path}: "
            f"for the official image write match: {DOCKER_HUB}/{OFFICIAL}{match.path}"
        )
    if match.path.partition("/")[0] == API_PATH:
        yield (
            f"match {match} has the path of the registry API, which image names do not have: write "
            f"match: {suggestion}"
        )
    if _is_inert(rule):
        held = next(mirror.target for mirror in rule.mirrors if mirror.covers(str(match)))
        yield (
            f"the rule never applies, because its mirror {held} contains everything that it "
            "matches: remove that mirror"
        )


def _describe_hub_match(match: Match) -> str:
    """Return what to write instead of a match without a registry."""
    start = f"{match.registry!r} is not a registry, as it has neither '.' nor ':'; "
    advice = f"write match: {suggest_match(str(match))}"
    if match.path:
        return f"{start}for images on Docker Hub {advice}"
    return (
        f"{start}for the image on Docker Hub {advice}; for all images of a user or an organisation "
        f"there, match: {DOCKER_HUB}/{match}"
    )


def _is_docker_hub(host: str) -> bool:
    """Return whether a host is Docker Hub by any of its names."""
    return f".{host}".endswith((".docker.io", ".docker.com", ".dockerhub.com"))


def _iterate_mirror_warnings(rule: Rule) -> Iterator[str]:
    """Yield which mirror is written as a URL, or is one name for many images."""
    for mirror in rule.mirrors:
        host, _, path = mirror.target.partition("/")
        if host != DOCKER_HUB and _is_docker_hub(host):
            yield (
                f"mirror {mirror.target} is not the registry of Docker Hub in image names: write "
                f"{'/'.join(filter(None, (DOCKER_HUB, path)))}"
            )
        parts = path.removeprefix(ARTIFACTORY_PATH).split("/")
        if API_PATH in (parts[0], *parts[:-1]):
            parts.remove(API_PATH)
        if parts != path.split("/"):
            yield (
                f"mirror {mirror.target} is the URL of an API, which has more parts than image "
                f"names: write {'/'.join(filter(None, (host, *parts)))}"
            )
        if rule.regex is not None and rule.regex.group_count and not mirror.is_template:
            yield (
                f"mirror {mirror.target} is the whole new name of all images that match: if they "
                f"are different images, use a group, as in {mirror.target}/\\1"
            )


def _iterate_regex_warnings(rule: Rule) -> Iterator[str]:
    """Yield why a regular expression does not match what it seems to be for."""
    if rule.regex is None or QUOTED in str(rule.regex):
        return
    text = f"regex {rule.regex}"
    plain = ANCHORS.sub("", str(rule.regex))
    literal = plain.replace(r"\.", ".")
    registry = literal.partition("/")[0]
    _, slash, rest = plain.partition("/")
    bare = NO_NAMES.sub("", plain)
    if LITERAL.fullmatch(registry) and slash and not looks_like_registry(registry):
        yield f"{text} matches nothing, as names begin with a registry: write {HUB_REGEX}/{plain}"
    if LITERAL.fullmatch(registry) and registry != DOCKER_HUB and _is_docker_hub(registry):
        yield (
            f"{text} does not match images of Docker Hub, whose registry is {DOCKER_HUB} in image "
            f"names: write {HUB_REGEX}/{rest or '(.+)'}"
        )
    if ":" in bare.partition("/")[2] or "@" in bare:
        yield f"{text} is matched against names without tag and digest: remove that part of it"
    if GLOB.search(plain):
        yield f"{text} has /*, which is any number of slashes: write /.* for any path"
    if registry == DOCKER_HUB and rest and "/" not in rest and not ANYTHING.search(rest):
        yield (
            f"{text} matches nothing, as official images are in {OFFICIAL} on Docker Hub: write "
            f"{HUB_REGEX}/{OFFICIAL}{rest}"
        )
    name = suggest_match(literal)
    if name and LITERAL.fullmatch(literal) and not _is_whole_name(literal):
        example = name.replace(".", r"\.") + ("" if "/" in name else "/.*")
        yield f"{text} matches nothing, as it has to match a whole name: write {example}"
    if not slash and not ANYTHING.search(plain):
        yield (
            f"{text} matches nothing, as it has to match a whole name, such as "
            f"{DOCKER_HUB}/{OFFICIAL}nginx: write .* where the name may go on"
        )
    dotted = BARE_DOT.search(bare)
    if dotted is not None:
        escaped = dotted[0].replace(".", r"\.")
        yield f"{text} has a dot in {dotted[0]} that matches any character: write {escaped}"


def _is_whole_name(text: str) -> bool:
    """Return whether *text* is the normal form of a name without tag and digest."""
    try:
        return parse_reference(text).name == text
    except InvalidReferenceError:
        return False


def _lint_catch_all(mirrors: MirrorMap, location: SourceLocation, diagnostics: Diagnostics) -> None:
    """Warn about mirrors of other rules that the rule ``*`` sends on to its own mirrors."""
    sources: dict[str, dict[str, None]] = {}  # rules by registry, as an ordered set
    for rule in mirrors.rules:
        for mirror in () if _is_inert(rule) else rule.mirrors:
            registry, _, path = mirror.fixed_part.partition("/")
            applied = mirrors.find_applicable_rule(registry, path) if registry else None
            if applied is not None and applied.match and applied.match.is_catch_all:
                sources.setdefault(registry, {})[str(rule)] = None
    for registry, names in sources.items():
        listed = ", ".join(islice(names, MAX_NAMES))
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        diagnostics.add_warning(
            location,
            f"{registry} is a mirror of {listed}{more}, and this rule applies to it as well; to "
            f"prevent that, add a rule with match: {registry} and keep: true",
        )


def _is_inert(rule: Rule) -> bool:
    """Return whether a rule applies to nothing, because its own mirror holds all it matches."""
    return rule.match is not None and rule.is_at_own_mirror(str(rule.match))
