r"""The looking up of images as expressions of CEL, as the API server evaluates them (`cel`_).

They are the same whatever the rules, which are in ``variables.table``. An image is looked
up by its own prefixes, the longest first. So the cost of an image grows with the length of
the longest path in the rules, and not with their number. Macros over a list of one element
name what is used twice, as CEL in the API server has no other way to.

.. _cel: https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

from typing import Final

from webhook.core.reference import DIGEST, DOMAIN, MAX_REPOSITORY, PATH, TAG
from webhook.render.table import (
    DEPTH_KEY,
    DOMAINS_KEY,
    EVERY_KEY,
    FLATTEN,
    IN_REGISTRIES,
    MAX_DEPTH,
    SLASH,
)

__all__ = ["LISTS", "depths", "domains", "images", "slots"]

REFERENCE: Final = rf"^(?:{DOMAIN}/)?{PATH}(?::{TAG})?(?:@(?:{DIGEST}))?$"
NAME: Final = rf"^{DOMAIN}/{PATH}$"
IDENTIFIER: Final = "^[a-f0-9]{64}$"
NAMES_REGISTRY: Final = "^(?:[^/]*[.:A-Z][^/]*|localhost)/"
SHORT_ON_HUB: Final = "^docker[.]io/[^/]+$"

LISTS: Final = ("containers", "initContainers", "ephemeralContainers", "volumes")
VOLUMES: Final = "volumes"
EPHEMERAL: Final = "ephemeralContainers"
SAME_IMAGE: Final = "o.?image.orValue('') == c.?image.orValue('')"


def slots() -> str:
    """Return the expression of all images that a request brings in, list by list.

    An image that is not to be touched is empty, so that the others keep their places.
    """
    return " +\n".join(slots_of(field) for field in LISTS)


def slots_of(field: str) -> str:
    """Return the expression of the images of one list."""
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


def depths() -> str:
    """Return the expression of how many parts to split a name into, the most first."""
    counts = ", ".join(str(count) for count in range(MAX_DEPTH + 2, 1, -1))
    depth = f"int(variables.table[?'{DEPTH_KEY}'].orValue('{MAX_DEPTH}'))"
    return f"[{counts}].filter(n, n <= {depth} + 2)"


def domains() -> str:
    """Return the expression of the domains whose subdomains the table has, the longest first."""
    return (
        f"variables.table[?'{DOMAINS_KEY}'].orValue('').split(' ')\n  .filter(domain, domain != '')"
    )


def images() -> str:
    """Return the expression that maps the images of ``variables.slots`` to new ones.

    It uses the other variables. An image that stays is empty.
    """
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
        f"      {indent(found(), 6)}\n"
        f"      .map(pairs, pairs.size() > 0 ? {indent(named(), 6)} : [])[0]\n"
        f"      .map(name, name.matches(r'{SHORT_ON_HUB}') ?\n"
        "        'docker.io/library/' + name.substring(10) : name)\n"
        f"      .filter(name, name.matches(r'{NAME}') &&\n"
        f"        name.size() - name.indexOf('/') - 1 <= {MAX_REPOSITORY})\n"
        "      .map(name, name + image.substring(it.size())))[0])[0]) + [''])[0])"
    )


def found() -> str:
    """Return the expression of the prefixes of ``name`` that the table holds.

    It is a list of one list: of pairs of a prefix and its key in the table; the first
    pair counts. The empty prefix is that of every registry.
    """
    replaced = "".join(
        f".replace('{before}', '{after}')" for before, after in IN_REGISTRIES.items()
    )
    return (
        f"[name{replaced}]\n"
        ".map(whole, variables.depths\n"
        "  .map(n, [whole.split('/', n)].map(parts, parts.size() == n ?\n"
        "    whole.substring(0, whole.size() - parts[n - 1].size() - 1) :\n"
        "    parts.size() == n - 1 ? whole : '')[0])\n"
        "  .filter(prefix, prefix != ''))\n"
        ".map(prefixes, prefixes\n"
        f"  .map(prefix, [prefix, [prefix.replace('/', '{SLASH}')]\n"
        "    .map(key, ((key in variables.table ? [key] :\n"
        "      [prefixes[prefixes.size() - 1]].map(host, variables.domains\n"
        "        .filter(domain, host.endsWith(domain))\n"
        "        .map(domain, domain + key.substring(host.size()))\n"
        "        .filter(wide, wide in variables.table))[0]) + [''])[0])[0]])\n"
        "  .filter(pair, pair[1] != '') +\n"
        f"  ('{EVERY_KEY}' in variables.table ? [['', '{EVERY_KEY}']] : []))"
    )


def named() -> str:
    """Return the expression of the new names by the first of ``pairs``, the preferred first."""
    return (
        "variables.table[pairs[0][1]].split(' ')\n"
        "  .filter(target, target != '')\n"
        f"  .map(target, target.endsWith('{FLATTEN}') ?\n"
        "    target.substring(0, target.size() - 1) +\n"
        "      name.substring(name.lastIndexOf('/') + 1) :\n"
        "    target + (pairs[0][0] == '' ? '/' + name :\n"
        "      name.substring(pairs[0][0].size())))"
    )


def indent(text: str, spaces: int) -> str:
    """Return *text* with the lines after its first indented."""
    return text.replace("\n", "\n" + " " * spaces)
