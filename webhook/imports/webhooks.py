"""Rules from the files of other webhooks and controllers that rewrite images.

Sources: `imageswap`_, `harbor-container-webhook`_, `kube-image-keeper`_,
`mutating-registry-webhook`_, `repimage`_, `registry-proxy`_ and a sample policy of `Kyverno`_.

.. _imageswap: https://github.com/phenixblue/imageswap-webhook/blob/master/docs/configuration.md
.. _harbor-container-webhook: https://github.com/indeedeng/harbor-container-webhook
.. _kube-image-keeper: https://github.com/enix/kube-image-keeper/tree/main/docs
.. _mutating-registry-webhook: https://github.com/flemzord/mutating-registry-webhook
.. _repimage: https://github.com/wzshiming/repimage
.. _registry-proxy: https://github.com/ketches/registry-proxy
.. _Kyverno: https://github.com/kyverno/policies/tree/main/other/replace-image-registry
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB
from webhook.imports.lines import (
    LineList,
    LineMapping,
    LineText,
    as_list,
    as_mapping,
    as_texts,
    get_line,
    parse_documents,
)
from webhook.imports.prefixes import EVERY_NAME, append_path, matches_everything, parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.imports.lines import LineValue
    from webhook.imports.rule_set import RuleSet

__all__ = [
    "import_harbor_container_webhook",
    "import_imageswap",
    "import_kube_image_keeper",
    "import_kyverno",
    "import_mutating_registry_webhook",
    "import_registry_proxy",
    "import_repimage",
]

IMAGESWAP_DEFAULT: Final = "default"
IMAGESWAP_WILDCARDS: Final = "noswap_wildcards"
LIBRARY: Final = f"{DOCKER_HUB}/library"

HARBOR_UNSUPPORTED: Final = ("checkUpstream", "authSecretName", "platforms", "namespaces")

KUIK_MIRRORS: Final = ("ImageSetMirror", "ClusterImageSetMirror")
KUIK_REPLICAS: Final = ("ReplicatedImageSet", "ClusterReplicatedImageSet")

REWRITE_KIND: Final = "RegistryRewriteRule"
REWRITE_GROUP: Final = re.compile(r"\$\{?(\d)\}?")
REWRITE_REST: Final = re.compile(r"\(\.[*+]\)\$?$")
REWRITE_SHORT_NAMES: Final = ("^([^/]+/[^/]+)$", "^([^/]+)$")

REPIMAGE_FLAG: Final = re.compile(
    r"--(prefix|ignore-domains)(?:=|\s+)[\"']?([^\s\"',\]]+(?:,[^\s\"'\]]+)*)"
)
REPIMAGE_PREFIX: Final = "m.daocloud.io"

REGISTRY_PROXY_KEY: Final = "config.yaml"
REGISTRY_PROXY_NAMESPACES: Final = ("excludeNamespaces", "includeNamespaces")

KYVERNO_CALL: Final = re.compile(
    r"regex_replace_all(?:_literal)?\(\s*'([^']*)'\s*,\s*[^,]+,\s*'([^']*)'\s*\)"
)
# The sample's pattern for an image with or without a registry, in its spellings.
KYVERNO_ANY_REGISTRY: Final = re.compile(
    r"\^\(.*localhost.*\)\?\(\.\*\)\$|\^\(?\[\^/\]\+/\)?\(\.\*\)\$"
)
KYVERNO_REPLACEMENT: Final = re.compile(r"(.+?)/\$\{?[12]\}?")


class ImageswapLine(NamedTuple):
    """A line of a map file."""

    number: int
    key: str
    target: str


def import_imageswap(text: str, rule_set: RuleSet) -> None:
    """Import a map file of imageswap: ``registry::target``, one per line.

    There ``nginx`` becomes ``target/nginx``, without ``library/``; a rule for docker.io/library
    does the same.
    """
    lines = [line for line in _parse_imageswap(text, rule_set) if _is_supported(line, rule_set)]
    default = next((line for line in lines if line.key == IMAGESWAP_DEFAULT), None)
    others = [line for line in lines if line.key != IMAGESWAP_DEFAULT]
    if default is None:
        rule_set.warn(0, "the file has no default, without which imageswap changes nothing")
    if default is not None and default.target:
        _import_imageswap_with_default(others, default, rule_set)
        return
    keys = {line.key for line in others}
    for line in others:
        if not line.target:
            rule_set.add_keep(line.number, line.key)
            continue
        rule_set.add_mirrors(line.number, line.key, [line.target])
        if line.key == DOCKER_HUB and LIBRARY not in keys:
            rule_set.add_mirrors(line.number, LIBRARY, [line.target])


def _import_imageswap_with_default(
    lines: list[ImageswapLine], default: ImageswapLine, rule_set: RuleSet
) -> None:
    """Import a file whose default applies to what the other lines do not match.

    The default drops the registry, which takes a regular expression. The first one that matches
    wins, so all lines are regular expressions, and the default is the last. What has been swapped
    is not swapped again.
    """
    for line in sorted(lines, key=lambda line: -len(line.key)):
        below = f"{re.escape(line.key)}/"
        if not line.target:
            rule_set.add_keep_regex(line.number, f"{below}.+")
            continue
        library = "(?:library/)?" if line.key == DOCKER_HUB else ""
        rule_set.add_regex(line.number, f"{below}{library}(.+)", [f"{line.target}/\\1"])
    for line in lines:
        if line.target:
            rule_set.add_keep_regex(line.number, f"{re.escape(line.target)}/.+")
    regex = f"docker\\.io/library/(.+)|{EVERY_NAME}"
    rule_set.add_regex(default.number, regex, [f"{default.target}/\\1\\2"])


def _parse_imageswap(text: str, rule_set: RuleSet) -> Iterator[ImageswapLine]:
    """Yield the lines of a map file. Old files have a single colon."""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        key, colon, target = line.partition("::")
        if not colon:
            key, colon, target = line.partition(":")
        if not colon:
            rule_set.warn(number, f"left out: {line!r} is not registry::target")
            continue
        yield ImageswapLine(number, key.strip(), target.strip())


def _is_supported(line: ImageswapLine, rule_set: RuleSet) -> bool:
    """Return whether a line has an equivalent; if not, add a warning."""
    if line.key.startswith("["):
        kind = line.key[1:].partition("]")[0]
        rule_set.warn(
            line.number, f"left out: {kind} matches tags or patterns, which rules cannot do"
        )
    elif line.key == IMAGESWAP_WILDCARDS:
        if line.target:
            rule_set.warn(
                line.number,
                f"left out: {line.key} matches anywhere in a name; add a rule with keep: true "
                f"for each registry meant by {line.target}",
            )
    elif line.target.endswith("-"):
        rule_set.warn(
            line.number, f"left out: {line.target} is prepended to the name without a slash"
        )
    else:
        return True
    return False


def import_harbor_container_webhook(text: str, rule_set: RuleSet) -> None:
    """Import a configuration of harbor-container-webhook, also as values of its Helm chart."""
    found = False
    for document in parse_documents(text):
        for rule in as_list(as_mapping(document).get("rules")):
            found = True
            _import_harbor_rule(as_mapping(rule), rule_set)
    if not found:
        rule_set.warn(0, "nothing imported: the file has no rules at its top level")


def _import_harbor_rule(rule: LineMapping, rule_set: RuleSet) -> None:
    replace = rule.get("replace")
    if not isinstance(replace, str):
        rule_set.warn(rule.line, "left out: the rule has no replace")
        return
    for pattern in as_texts(rule.get("matches")):
        prefix = parse_prefix(pattern)
        if prefix is not None:
            rule_set.add_mirrors(pattern.line, prefix, [append_path(replace, prefix)])
        elif matches_everything(pattern):
            rule_set.add_regex(pattern.line, EVERY_NAME, [f"{replace}/\\1"])
        else:
            problem = f"left out: {pattern} is more than a prefix, and may match tags"
            rule_set.warn(pattern.line, problem)
    for pattern in as_texts(rule.get("excludes")):
        prefix = parse_prefix(pattern)
        if prefix is not None:
            rule_set.add_keep(pattern.line, prefix)
        else:
            problem = f"not excluded: {pattern} is more than a prefix, and may match tags"
            rule_set.warn(pattern.line, problem)
    for key in HARBOR_UNSUPPORTED:
        value = rule.get(key)
        if value and value != "false":
            line = get_line(value, rule.line)
            rule_set.warn(line, f"left out: {key} has no equivalent")


def import_kube_image_keeper(text: str, rule_set: RuleSet) -> None:
    """Import custom resources of kube-image-keeper 2.

    There a mirror takes the path of an image without its registry, and the original is asked
    first.
    """
    found = False
    for document in parse_documents(text):
        kind = as_mapping(document).get("kind")
        spec = as_mapping(as_mapping(document).get("spec"))
        if kind in KUIK_MIRRORS:
            found = True
            _import_kuik_mirrors(spec, rule_set)
        elif kind in KUIK_REPLICAS:
            found = True
            _import_kuik_replicas(spec, rule_set)
    if not found:
        kinds = ", ".join((*KUIK_MIRRORS, *KUIK_REPLICAS))
        rule_set.warn(0, f"nothing imported: the file has none of {kinds}")


def _import_kuik_mirrors(spec: LineMapping, rule_set: RuleSet) -> None:
    """Import a set of images and its mirrors."""
    mirrors = [as_mapping(each) for each in as_list(spec.get("mirrors"))]
    targets = [target for target in map(_get_kuik_target, mirrors) if target]
    if not targets:
        rule_set.warn(spec.line, "left out: the list of mirrors is empty")
        return
    images = as_mapping(spec.get("imageFilter") or spec.get("images"))
    included = [(each.line, str(each)) for each in as_texts(images.get("include"))]
    for line, pattern in included or [(spec.line, "")]:
        prefix = parse_prefix(f"^{pattern.removeprefix('^')}")
        if matches_everything(pattern):
            templates = [f"{target}/\\1" for target in targets]
            rule_set.add_regex(line, EVERY_NAME, templates, Original.FIRST)
        elif prefix is None:
            rule_set.warn(line, f"left out: {pattern} is more than a prefix")
        else:
            below = [append_path(target, prefix) for target in targets]
            rule_set.add_mirrors(line, prefix, below, Original.FIRST)
    for excluded in as_texts(images.get("exclude")):
        prefix = parse_prefix(f"^{excluded.removeprefix('^')}")
        if prefix is None:
            rule_set.warn(excluded.line, f"not excluded: {excluded} is more than a prefix")
        else:
            rule_set.add_keep(excluded.line, prefix)
    _warn_of_kuik_secrets(mirrors, rule_set)


def _import_kuik_replicas(spec: LineMapping, rule_set: RuleSet) -> None:
    """Import upstreams that hold the same images; the first is taken as the original."""
    upstreams = [as_mapping(each) for each in as_list(spec.get("upstreams"))]
    targets = [_get_kuik_target(each) for each in upstreams]
    if len(targets) < 2 or not all(targets):  # noqa: PLR2004 - the original and a mirror
        rule_set.warn(spec.line, "left out: there are fewer than two upstreams")
        return
    rule_set.add_mirrors(spec.line, targets[0], targets[1:], Original.FIRST)
    rule_set.warn(
        spec.line,
        f"the upstreams replace each other; the rule sends {targets[0]} to the others, but not "
        "back",
    )
    for each in upstreams:
        if each.get("imageFilter"):
            line = get_line(each["imageFilter"], each.line)
            rule_set.warn(
                line, "left out: imageFilter of an upstream; the rule applies to all its images"
            )
    _warn_of_kuik_secrets(upstreams, rule_set)


def _get_kuik_target(value: LineMapping) -> str:
    """Return registry and path of a mirror or upstream; empty without a registry."""
    registry, path = str(value.get("registry") or ""), str(value.get("path") or "")
    path = path.strip("/")
    return f"{registry}/{path}" if registry and path else registry


def _warn_of_kuik_secrets(values: list[LineMapping], rule_set: RuleSet) -> None:
    for each in values:
        secret = each.get("credentialSecret")
        if secret:
            warning = "left out: credentialSecret; give Pods a pull secret"
            rule_set.warn(get_line(secret), warning)


def import_mutating_registry_webhook(text: str, rule_set: RuleSet) -> None:
    """Import ``RegistryRewriteRule``, the custom resource of mutating-registry-webhook."""
    found = False
    for document in parse_documents(text):
        if as_mapping(document).get("kind") != REWRITE_KIND:
            continue
        found = True
        for rule in as_list(as_mapping(as_mapping(document).get("spec")).get("rules")):
            _import_rewrite_rule(as_mapping(rule), rule_set)
    if not found:
        rule_set.warn(0, f"nothing imported: the file has no {REWRITE_KIND}")


def _import_rewrite_rule(rule: LineMapping, rule_set: RuleSet) -> None:
    match, replace = rule.get("match"), rule.get("replace")
    if not isinstance(match, str) or not isinstance(replace, str):
        rule_set.warn(rule.line, "left out: the rule needs both match and replace")
        return
    line = get_line(rule["match"], rule.line)
    if rule.get("conditions"):
        rule_set.warn(
            get_line(rule["conditions"], line),
            "left out: a rule with conditions; use the selectors of the webhook, or a policy of "
            "its own",
        )
        return
    if match in REWRITE_SHORT_NAMES:
        rule_set.warn(line, "left out: names without a registry are always on docker.io here")
        return
    prefix = parse_prefix(match)
    rest = REWRITE_REST.search(match)
    target = replace.removesuffix("$1").removesuffix("${1}")
    if prefix and rest and target != replace and target.endswith("/") and "$" not in target:
        rule_set.add_mirrors(line, prefix, [target.rstrip("/")])
    elif matches_everything(match) and replace.endswith("/$1"):
        rule_set.add_mirrors(line, "*", [replace.removesuffix("/$1")])
    elif rest and match.startswith("^") and "$" not in REWRITE_GROUP.sub("", replace):
        # There the last group includes tag and digest; here they are always kept.
        template = REWRITE_GROUP.sub(r"\\\1", replace)
        rule_set.add_regex(line, match[1:].removesuffix("$"), [template])
    else:
        rule_set.warn(line, f"left out: {match} → {replace} has no equivalent")


def import_repimage(text: str, rule_set: RuleSet) -> None:
    """Import the flags of repimage, as in the arguments of its Deployment.

    Every registry that is not ignored goes behind a prefix.
    """
    prefix, prefix_line = REPIMAGE_PREFIX, 0
    for number, line in enumerate(text.splitlines(), 1):
        for flag, value in REPIMAGE_FLAG.findall(line):
            if flag == "prefix":
                prefix, prefix_line = value, number
                continue
            for domain in filter(None, value.split(",")):
                rule_set.add_keep(number, domain)
    if not prefix_line:
        rule_set.warn(0, f"the file has no --prefix: using the default, {REPIMAGE_PREFIX}")
    rule_set.add_mirrors(prefix_line, "*", [prefix])


def import_registry_proxy(text: str, rule_set: RuleSet) -> None:
    """Import the ConfigMap of registry-proxy, or the file that it holds."""
    for document in parse_documents(text):
        content = as_mapping(as_mapping(document).get("data")).get(REGISTRY_PROXY_KEY)
        if not isinstance(content, LineText):
            _import_proxies(document, rule_set, 0)
            continue
        for inner in parse_documents(content):
            # A block scalar begins in the line after its key.
            _import_proxies(inner, rule_set, content.line)
    if not rule_set.rules:
        rule_set.warn(0, "nothing imported: the file has no proxies")


def _import_proxies(config: LineValue, rule_set: RuleSet, lines_above: int) -> None:
    known = as_mapping(config)
    proxies = as_mapping(known.get("proxies"))
    for registry, target in proxies.items():
        line = lines_above + proxies.lines[registry]
        if target:
            mirror = str(target).removeprefix("https://").rstrip("/")
            rule_set.add_mirrors(line, registry, [mirror])
        else:
            rule_set.warn(line, f"left out: {registry} has no proxy")
    for registry in as_texts(known.get("includeRegistries")):
        if registry not in proxies:
            rule_set.warn(
                lines_above + registry.line,
                f"left out: the built-in proxy of registry-proxy for {registry} has closed; add a "
                "mirror of your own",
            )
    for key in REGISTRY_PROXY_NAMESPACES:
        if known.get(key):
            rule_set.warn(
                lines_above + known.lines[key],
                f"left out: {key}; use the namespace selector of the webhook",
            )


def import_kyverno(text: str, rule_set: RuleSet) -> None:
    """Import a policy of Kyverno like the sample that replaces the registry of images.

    It has the same call for each list of containers, which is one rule.
    """
    seen: set[tuple[str, str]] = set()
    for document in parse_documents(text):
        for value in _iter_texts(as_mapping(document).get("spec")):
            for pattern, target in KYVERNO_CALL.findall(value):
                if (pattern, target) not in seen:
                    seen.add((pattern, target))
                    regex = pattern.replace("\\\\", "\\")
                    _import_kyverno_call(value.line, regex, target, rule_set)
    if not seen:
        rule_set.warn(0, "nothing imported: the file has no regex_replace_all")


def _import_kyverno_call(line: int, pattern: str, target: str, rule_set: RuleSet) -> None:
    replacement = KYVERNO_REPLACEMENT.fullmatch(target)
    prefix = parse_prefix(pattern)
    if replacement and KYVERNO_ANY_REGISTRY.fullmatch(pattern):
        mirror = replacement[1]
        rule_set.add_regex(line, EVERY_NAME, [f"{mirror}/\\1"])
        rule_set.warn(
            line, f"nginx becomes {mirror}/library/nginx here, but {mirror}/nginx in Kyverno"
        )
    elif replacement and prefix:
        rule_set.add_mirrors(line, prefix, [replacement[1]])
    elif prefix and "$" not in target:
        rule_set.add_mirrors(line, prefix, [target.rstrip("/")])
    else:
        rule_set.warn(line, f"left out: {pattern} → {target} has no equivalent")


def _iter_texts(value: LineValue) -> Iterator[LineText]:
    """Yield every text in *value*."""
    if isinstance(value, LineText):
        yield value
    elif isinstance(value, LineList | LineMapping):
        for each in value.values() if isinstance(value, LineMapping) else value:
            yield from _iter_texts(each)
