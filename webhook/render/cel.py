r"""
The rules as expressions of CEL, as the API server evaluates them (`cel`_).

A table of prefixes is a literal; an image is looked up by its own prefixes, the longest
first. So the cost of an image grows with the length of the longest path in the rules, and
not with their number. Macros over a list of one element name what is used twice, as CEL in
the API server has no other way to.

.. _cel: https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core import InvalidRuleError
from webhook.core.match import EVERY_REGISTRY
from webhook.core.reference import DIGEST, DOMAIN, MAX_REPOSITORY, PATH, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webhook.render.entry import Entry, Place

__all__ = ["LISTS", "images", "slots", "table"]

# cel-go's parser refuses expressions of more than 100,000 characters.
MAX_TABLE: Final = 90_000
# Each image is compared with each of these.
MAX_DOMAINS: Final = 20
MAX_DEPTH: Final = 10

REFERENCE: Final = rf"^(?:{DOMAIN}/)?{PATH}(?::{TAG})?(?:@(?:{DIGEST}))?$"
NAME: Final = rf"^{DOMAIN}/{PATH}$"
IDENTIFIER: Final = "^[a-f0-9]{64}$"
NAMES_REGISTRY: Final = "^(?:[^/]*[.:A-Z][^/]*|localhost)/"
SHORT_ON_HUB: Final = "^docker[.]io/[^/]+$"
# At the end of a target: only the last part of the repository follows.
FLATTEN: Final = "/*"

LISTS: Final = ("containers", "initContainers", "ephemeralContainers", "volumes")
VOLUMES: Final = "volumes"
EPHEMERAL: Final = "ephemeralContainers"
SAME_IMAGE: Final = "o.?image.orValue('') == c.?image.orValue('')"


def table(entries: Iterable[Entry]) -> str:
    """
    Return the map from prefixes to targets; without a target an image is left alone.

    Raises:
        InvalidRuleError: It is larger than the API server takes.
    """
    pairs = [
        f"'{entry.prefix}': '{targets_of(entry.places)}'"
        for entry in entries
        if entry.registry != EVERY_REGISTRY
    ]
    text = "{" + ",\n".join(pairs) + "}"
    if len(text) > MAX_TABLE:
        raise InvalidRuleError(
            f"the rules make {len(text)} characters of CEL, and the API server takes "
            f"about {MAX_TABLE}: use the webhook, or fewer rules"
        )
    return text


def targets_of(places: Sequence[Place]) -> str:
    """
    Return the targets of places, the preferred first, as one text.
    """
    return " ".join(place.target + (FLATTEN if place.flatten else "") for place in places)


def slots() -> str:
    """
    Return the expression of all images that a request brings in, list by list.

    An image that is not to be touched is empty, so that the others keep their places.
    """
    return " +\n".join(slots_of(field) for field in LISTS)


def slots_of(field: str) -> str:
    """
    Return the expression of the images of one list.
    """
    if field == VOLUMES:
        return (
            f"object.spec.?{VOLUMES}.orValue([]).map(v,\n"
            "  request.operation == 'CREATE' && has(v.image) &&\n"
            "    v.image.?pullPolicy.orValue('') != 'Never' ?\n"
            "  v.image.?reference.orValue('') : '')"
        )
    if field == EPHEMERAL:
        there = f"o.name == c.name && (sub != '' || {SAME_IMAGE})"
    else:
        there = f"sub != '' || o.name == c.name && {SAME_IMAGE}"
    return (
        f"[request.?subResource.orValue('')].map(sub, object.spec.?{field}.orValue([])\n"
        "  .map(c, c.?imagePullPolicy.orValue('') == 'Never' ||\n"
        "    request.operation == 'UPDATE' &&\n"
        f"      oldObject.spec.?{field}.orValue([]).exists(o, {there}) ?\n"
        "    '' : c.?image.orValue('')))[0]"
    )


def images(entries: Sequence[Entry]) -> str:
    """
    Return the expression that maps the images of ``variables.slots`` to new ones.

    It uses ``variables.table``. An image that stays is empty.

    Raises:
        InvalidRuleError: The rules would make it cost more than the API server grants.
    """
    prefixed = [entry for entry in entries if entry.registry != EVERY_REGISTRY]
    return (
        "variables.slots.map(image, ((\n"
        f"  image == '' || image.matches(r'{IDENTIFIER}') ||\n"
        f"    !image.matches(r'{REFERENCE}') ? [] :\n"
        "  [image.split('@')[0]]\n"
        "  .map(it, it.lastIndexOf(':') > it.lastIndexOf('/') ?\n"
        "    it.substring(0, it.lastIndexOf(':')) : it)\n"
        f"  .map(it, [it].map(name, name.matches(r'{NAMES_REGISTRY}') ?\n"
        "      name : 'docker.io/' + name)\n"
        "    .map(name, name.startsWith('index.docker.io/') ? name.substring(6) : name)\n"
        f"    .map(name, name.matches(r'{SHORT_ON_HUB}') ?\n"
        "      'docker.io/library/' + name.substring(10) : name)\n"
        f"    .map(name, name.size() - name.indexOf('/') - 1 > {MAX_REPOSITORY} ? [] :\n"
        f"      {indent(found(prefixed), 6)}\n"
        f"      .map(keys, keys.size() > 0 ? {indent(named(), 6)} :\n"
        f"        {elsewhere(entries)})[0]\n"
        f"      .map(name, name.matches(r'{SHORT_ON_HUB}') ?\n"
        "        'docker.io/library/' + name.substring(10) : name)\n"
        f"      .filter(name, name.matches(r'{NAME}') &&\n"
        f"        name.size() - name.indexOf('/') - 1 <= {MAX_REPOSITORY})\n"
        "      .map(name, name + image.substring(it.size())))[0])[0]) + [''])[0])"
    )


def found(entries: Sequence[Entry]) -> str:
    """
    Return the expression of the prefixes of ``name`` that the table holds.

    It is a list of one list: of pairs of a prefix and its key in the table, which differ
    where the key stands for subdomains; the first pair counts.

    Raises:
        InvalidRuleError: A path is too long, or there are too many subdomains.
    """
    depth = max((entry.path.count("/") + 1 for entry in entries if entry.path), default=0)
    if depth > MAX_DEPTH:
        raise InvalidRuleError(
            f"a rule has a path of {depth} parts, and in CEL up to {MAX_DEPTH} are "
            "bearable: use the webhook"
        )
    domains = sorted(
        {entry.registry[1:] for entry in entries if entry.is_wildcard},
        key=len,
        reverse=True,
    )
    if len(domains) > MAX_DOMAINS:
        raise InvalidRuleError(
            f"the rules name the subdomains of {len(domains)} domains, and in CEL up to "
            f"{MAX_DOMAINS} are bearable: use the webhook"
        )
    counts = ", ".join(str(count) for count in range(depth + 2, 1, -1))
    prefixes = (
        f"[[{counts}].map(n, [name.split('/', n)].map(parts, parts.size() == n ?\n"
        "  name.substring(0, name.size() - parts[n - 1].size() - 1) :\n"
        "  parts.size() == n - 1 ? name : '')[0])\n"
        ".filter(prefix, prefix != '')"
    )
    if not domains:
        return (
            f"{prefixes}\n"
            ".filter(prefix, prefix in variables.table)\n"
            ".map(prefix, [prefix, prefix])]"
        )
    listed = ", ".join(f"'{domain}'" for domain in domains)
    return (
        f"{prefixes}\n"
        ".map(prefix, [prefix, prefix in variables.table ? prefix :\n"
        "  [prefix.split('/')[0]].map(host, "
        f"[{listed}].filter(domain, host.endsWith(domain))\n"
        "    .map(domain, '*' + domain + prefix.substring(host.size()))\n"
        "    .filter(key, key in variables.table) + [''])[0][0]])\n"
        ".filter(pair, pair[1] != '')]"
    )


def named() -> str:
    """
    Return the expression of the new names by the first of ``keys``, the preferred first.
    """
    return (
        "variables.table[keys[0][1]].split(' ')\n"
        "  .filter(target, target != '')\n"
        f"  .map(target, target.endsWith('{FLATTEN}') ?\n"
        "    target.substring(0, target.size() - 1) +\n"
        "      name.substring(name.lastIndexOf('/') + 1) :\n"
        "    target + name.substring(keys[0][0].size()))"
    )


def elsewhere(entries: Sequence[Entry]) -> str:
    """
    Return the expression of the new names where no prefix is in the table.
    """
    places = next((each.places for each in entries if each.registry == EVERY_REGISTRY), ())
    names = []
    for place in places:
        if place.flatten:
            names.append(f"'{place.target}/' + name.substring(name.lastIndexOf('/') + 1)")
        else:
            names.append(f"'{place.target}/' + name")
    return f"[{', '.join(names)}]"


def indent(text: str, spaces: int) -> str:
    """
    Return *text* with the lines after its first indented.
    """
    return text.replace("\n", "\n" + " " * spaces)
