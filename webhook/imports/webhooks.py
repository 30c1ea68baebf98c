"""Rules from the files of other webhooks that rewrite images.

Each follows the code of its tool, which differs from the documentation in places:
`harbor-container-webhook`_, `mutating-registry-webhook`_, `repimage`_, `registry-proxy`_ and
`k8s-image-swapper`_.

.. _harbor-container-webhook: https://github.com/IndeedEng/harbor-container-webhook/blob/main/internal/webhook/transformer.go
.. _mutating-registry-webhook: https://github.com/flemzord/mutating-registry-webhook/blob/main/internal/webhook/pod_mutator.go
.. _repimage: https://github.com/wzshiming/repimage
.. _registry-proxy: https://github.com/ketches/registry-proxy/blob/master/internal/cmd/run.go
.. _k8s-image-swapper: https://github.com/estahn/k8s-image-swapper/blob/main/pkg/webhook/image_swapper.go
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB, looks_like_registry
from webhook.imports.lines import (
    LineMapping,
    LineText,
    as_list,
    as_mapping,
    as_texts,
    get_priority,
    is_true,
    iter_configs,
    iter_objects,
)
from webhook.imports.patterns import NamePattern, UnsupportedPatternError, escape, parse_patterns
from webhook.imports.replacements import parse_replacement
from webhook.imports.rule_set import ForeignFileError

if TYPE_CHECKING:
    from webhook.imports.rule_set import RuleSet

__all__ = [
    "import_harbor_container_webhook",
    "import_k8s_image_swapper",
    "import_mutating_registry_webhook",
    "import_registry_proxy",
    "import_repimage",
]

HARBOR_LISTS: Final = ("rules", "extraRules")
HARBOR_CHECKS: Final = ("authSecretName", "platforms")
HARBOR_SELECTORS: Final = ("namespaceSelector", "objectSelector")

REWRITE_KIND: Final = "RegistryRewriteRule"

# The value may be the next item of a list.
REPIMAGE_FLAG: Final = re.compile(
    r"--(prefix|ignore-domains)(?:=|[\"']?\s*,\s*|[\"']?\s*\n\s*-\s+|[ \t]+)[\"']?"
    r"([^\s\"',\]]+(?:,[^\s\"'\]]+)*)"
)
REPIMAGE_PREFIX: Final = "m.daocloud.io"

PROXY_KEYS: Final = (
    "proxies",
    "enabled",
    "includeNamespaces",
    "excludeNamespaces",
    "includeRegistries",
)
PROXY_SELECTORS: Final = {
    "excludeNamespaces": "the namespace selector of the webhook",
    "includeNamespaces": "the namespace selector of the webhook",
    "namespaceSelector": "the namespace selector of the webhook",
    "podSelector": "the object selector of the webhook",
}

SWAPPER_COPY_KEYS: Final = ("role", "ecrOptions")
SWAPPER_FILTER: Final = re.compile(
    r"(contains|starts_with)\(\s*container\.image\s*,\s*['`]\"?([^'`\"]+)\"?['`]\s*\)"
)


class HarborRule(NamedTuple):
    """A rule of harbor-container-webhook.

    Attributes:
        matches: What it matches, with the lines.
        excludes: Its exceptions, with the lines.
        replace: What takes the place of the registry.
        original: When it asks the image's own registry.
    """

    matches: list[tuple[int, NamePattern]]
    excludes: list[tuple[int, NamePattern]]
    replace: str
    original: Original


def import_harbor_container_webhook(text: str, rule_set: RuleSet) -> None:
    """Import a configuration of harbor-container-webhook, also as values of its Helm chart.

    The first rule that matches applies; an image that it excludes may match a later rule.

    Raises:
        UnreadableFileError: It has no rules.
    """
    rules: list[HarborRule] = []
    found = False
    for config in iter_configs(text):
        for key in HARBOR_LISTS:
            for value in map(as_mapping, as_list(config.get(key))):
                found = found or "matches" in value
                rule = _read_harbor_rule(value, rule_set)
                if rule is not None:
                    rules.append(rule)
        _warn_of_harbor_selectors(as_mapping(config.get("webhook")), rule_set)
    if not found:
        raise ForeignFileError("rules of harbor-container-webhook")
    for number, rule in enumerate(rules):
        for line, pattern in rule.excludes:
            _add_harbor_exclude(line, pattern, rules[number + 1 :], rule_set)
        for line, pattern in rule.matches:
            rule_set.add_pattern(line, pattern, [rule.replace], rule.original)


def _read_harbor_rule(value: LineMapping, rule_set: RuleSet) -> HarborRule | None:
    replace = value.get("replace")
    if not isinstance(replace, LineText) or not replace:
        rule_set.warn(value.line, "left out: the rule has no replace")
        return None
    matches = as_texts(value.get("matches"))
    if not matches:
        rule_set.warn(value.line, "left out: the rule has no matches")
        return None
    original = Original.NEVER
    if is_true(value.get("checkUpstream")):
        original = Original.LAST
        rule_set.checks_availability = True
        rule_set.warn(
            value.lines["checkUpstream"],
            "checkUpstream becomes availability.mode: check, which is for every rule",
        )
        for key in HARBOR_CHECKS:
            if value.get(key):
                problem = f"left out: {key}; see platforms and credentials of availability"
                rule_set.warn(value.lines[key], problem)
    return HarborRule(
        parse_patterns(matches, "left out", rule_set),
        parse_patterns(as_texts(value.get("excludes")), "not excluded", rule_set),
        replace,
        original,
    )


def _add_harbor_exclude(
    line: int, pattern: NamePattern, later: list[HarborRule], rule_set: RuleSet
) -> None:
    """Add rules for the images that a rule excludes: *later* rules apply to them, or none."""
    for rule in later:
        excluded = [each for _, each in rule.excludes]
        if any(each.covers(pattern) for each in excluded):
            continue
        for match_line, match in rule.matches:
            if match.is_disjoint(pattern):
                continue
            if not all(each.is_disjoint(pattern) for each in excluded):
                rule_set.warn(line, f"line {match_line} excludes a part of these images: kept")
            elif match.covers(pattern):
                rule_set.add_pattern(line, pattern, [rule.replace], rule.original)
                return
            elif pattern.covers(match):
                rule_set.add_pattern(match_line, match, [rule.replace], rule.original)
            else:
                rule_set.warn(line, f"kept, also where the rule of line {match_line} matches")
    rule_set.add_pattern(line, pattern)


def _warn_of_harbor_selectors(values: LineMapping, rule_set: RuleSet) -> None:
    for key in HARBOR_SELECTORS:
        if values.get(key):
            problem = f"left out: {key}; use the selectors of the webhook"
            rule_set.warn(values.lines[key], problem)


def import_mutating_registry_webhook(text: str, rule_set: RuleSet) -> None:
    """Import ``RegistryRewriteRule``, the custom resource of mutating-registry-webhook.

    The rules of all resources are tried by priority, the highest first.

    Raises:
        UnreadableFileError: It has no such resource.
    """
    resources = [each for each in iter_objects(text) if each.get("kind") == REWRITE_KIND]
    if not resources:
        raise ForeignFileError(REWRITE_KIND)
    rules = [
        as_mapping(rule)
        for resource in resources
        for rule in as_list(as_mapping(resource.get("spec")).get("rules"))
    ]
    for rule in sorted(rules, key=get_priority, reverse=True):
        _import_rewrite_rule(rule, rule_set)


def _import_rewrite_rule(rule: LineMapping, rule_set: RuleSet) -> None:
    match, replace = rule.get("match"), rule.get("replace")
    if not isinstance(match, LineText) or not isinstance(replace, LineText):
        rule_set.warn(rule.line, "left out: the rule needs both match and replace")
        return
    conditions = as_mapping(rule.get("conditions"))
    if any(conditions.values()):
        rule_set.warn(
            rule.lines["conditions"],
            "left out: a rule with conditions; use the selectors of the webhook, or a policy of "
            "its own",
        )
        return
    try:
        replacement = parse_replacement(match, replace)
    except UnsupportedPatternError as error:
        rule_set.warn(match.line, f"left out: {match} → {replace}: {error}")
        return
    for note in replacement.notes:
        rule_set.warn(match.line, f"{match}: {note}")
    rule_set.add_replacement(match.line, replacement, Original.NEVER)


def import_repimage(text: str, rule_set: RuleSet) -> None:
    """Import the flags of repimage, as in the arguments of its Deployment.

    Every registry that is not ignored goes behind a prefix.

    Raises:
        UnreadableFileError: It does not mention repimage or one of its flags.
    """
    prefix, prefix_line = REPIMAGE_PREFIX, 0
    content = re.sub(r"(?m)(?:^|(?<=\s))#.*$", "", text)
    known = "repimage" in content
    for match in REPIMAGE_FLAG.finditer(content):
        known = True
        line = content.count("\n", 0, match.start()) + 1
        if match[1] == "prefix":
            prefix, prefix_line = match[2], line
            continue
        for domain in filter(None, match[2].split(",")):
            rule_set.add_keep(line, domain)
    if not known:
        raise ForeignFileError("flags of repimage")
    if not prefix_line:
        rule_set.warn(0, f"the file has no --prefix: using the default, {REPIMAGE_PREFIX}")
    rule_set.add_mirrors(prefix_line, "*", [prefix], Original.NEVER)


def import_registry_proxy(text: str, rule_set: RuleSet) -> None:
    """Import the ConfigMap of registry-proxy, or the file that it holds.

    Raises:
        UnreadableFileError: It has no proxies.
    """
    found = False
    for config in iter_configs(text):
        if not any(key in config for key in PROXY_KEYS):
            continue
        found = True
        if _is_proxy_enabled(config, rule_set):
            _import_proxies(config, rule_set)
    if not found:
        raise ForeignFileError("proxies of registry-proxy")


def _is_proxy_enabled(config: LineMapping, rule_set: RuleSet) -> bool:
    """Return whether registry-proxy does anything; if not, add a warning."""
    if "enabled" not in config:
        problem = "without enabled: true, registry-proxy 1.3 does nothing; the rules are in force"
        rule_set.warn(config.line, problem)
    elif not is_true(config["enabled"]):
        rule_set.warn(config.lines["enabled"], "nothing imported: registry-proxy is not enabled")
        return False
    if "*" in as_texts(config.get("excludeNamespaces")):
        line = config.lines["excludeNamespaces"]
        rule_set.warn(line, "nothing imported: every namespace is excluded")
        return False
    return True


def _import_proxies(config: LineMapping, rule_set: RuleSet) -> None:
    proxies = as_mapping(config.get("proxies"))
    for registry, target in proxies.items():
        line = proxies.lines[registry]
        if target:
            mirror = str(target).removeprefix("https://").rstrip("/")
            rule_set.add_mirrors(line, registry, [mirror], Original.NEVER)
        else:
            rule_set.warn(line, f"left out: {registry} has no proxy")
    for registry in as_texts(config.get("includeRegistries")):
        if registry not in proxies:
            rule_set.warn(
                registry.line,
                f"left out: the built-in proxy of registry-proxy for {registry} has closed; add a "
                "mirror of your own",
            )
    for key, instead in PROXY_SELECTORS.items():
        value = config.get(key)
        if value and not (key == "includeNamespaces" and "*" in as_texts(value)):
            rule_set.warn(config.lines[key], f"left out: {key}; use {instead}")


def import_k8s_image_swapper(text: str, rule_set: RuleSet) -> None:
    """Import the configuration of k8s-image-swapper, also as values of its Helm chart.

    The whole image goes behind the target, which is one registry.

    Raises:
        UnreadableFileError: It has no target.
    """
    found = False
    for document in iter_configs(text):
        config = as_mapping(document.get("config")) or document
        target = as_mapping(config.get("target"))
        if target:
            found = True
            _import_swapper(config, target, rule_set)
    if not found:
        raise ForeignFileError("target of k8s-image-swapper")


def _import_swapper(config: LineMapping, target: LineMapping, rule_set: RuleSet) -> None:
    registry = _find_swapper_target(target)
    if not registry:
        rule_set.warn(
            target.line, "left out: the target has no account, project, region or location"
        )
        return
    original = Original.NEVER
    if str(config.get("imageSwapPolicy") or "exists") != "always":
        original = Original.LAST
        rule_set.checks_availability = True
    source = as_mapping(config.get("source"))
    for each in map(as_mapping, as_list(source.get("filters"))):
        expression = each.get("jmespath")
        if isinstance(expression, LineText):
            _import_swapper_filter(expression, rule_set)
    rule_set.add_mirrors(target.line, "*", [registry], original)
    if str(config.get("imageCopyPolicy") or "delayed") != "none":
        rule_set.warn(
            config.lines.get("imageCopyPolicy", 0),
            "left out: imageCopyPolicy, by which the tool copies images to the target; use "
            "mirrorhook copy",
        )
    aws = as_mapping(target.get("aws"))
    for key in SWAPPER_COPY_KEYS:
        if aws.get(key):
            rule_set.warn(aws.lines[key], f"left out: {key}, which is for copying images")
    if source.get("registries"):
        line = source.lines["registries"]
        rule_set.warn(line, "left out: source.registries, which is for copying images")
    if is_true(config.get("dryRun")):
        rule_set.warn(config.lines["dryRun"], "left out: dryRun, which k8s-image-swapper ignores")


def _find_swapper_target(target: LineMapping) -> str:
    """Return the registry and path of the target; empty if a part is missing."""
    if str(target.get("type") or "aws") == "gcp":
        gcp = as_mapping(target.get("gcp"))
        parts = [str(gcp.get(key) or "") for key in ("location", "projectId", "repositoryId")]
        return f"{parts[0]}-docker.pkg.dev/{parts[1]}/{parts[2]}" if all(parts) else ""
    aws = as_mapping(target.get("aws"))
    account, region = str(aws.get("accountId") or ""), str(aws.get("region") or "")
    if not account or not region:
        return ""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}{aws.get('prefix') or ''}"


def _import_swapper_filter(expression: LineText, rule_set: RuleSet) -> None:
    """Keep the images that a filter excludes."""
    match = SWAPPER_FILTER.fullmatch(expression.strip())
    if match is None:
        problem = f"left out: the filter {expression}; use the selectors of the webhook"
        rule_set.warn(expression.line, problem)
        return
    text = match[2]
    before = ".*"
    if match[1] == "starts_with":
        first = text.partition("/")[0]
        before = "" if looks_like_registry(first) else f"{escape(DOCKER_HUB)}/(?:library/)?"
    rule_set.add_regex(expression.line, f"{before}{escape(text)}.*", [])
    if ":" in text or "@" in text or text in f"{DOCKER_HUB}/library/":
        rule_set.warn(
            expression.line,
            f"the filter {expression} is applied to the whole name without a tag, as in "
            f"{DOCKER_HUB}/library/nginx",
        )
