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
from webhook.render.policy_table import (
    DEPTH_KEY,
    DOMAINS_KEY,
    EVERY_KEY,
    FLATTEN,
    IN_REGISTRIES,
    MAX_DEPTH,
    SLASH,
)

__all__ = ["LISTS", "depths", "domains", "images", "patch", "slots"]

REFERENCE: Final = rf"^(?:{DOMAIN}/)?{PATH}(?::{TAG})?(?:@(?:{DIGEST}))?$"
NAME: Final = rf"^{DOMAIN}/{PATH}$"
IDENTIFIER: Final = "^[a-f0-9]{64}$"
NAMES_REGISTRY: Final = "^(?:[^/]*[.:A-Z][^/]*|localhost)/"
SHORT_ON_HUB: Final = "^docker[.]io/[^/]+$"

LISTS: Final = ("containers", "initContainers", "ephemeralContainers", "volumes")
VOLUMES: Final = "volumes"
EPHEMERAL: Final = "ephemeralContainers"
SAME_IMAGE: Final = "o.?image.orValue('') == c.?image.orValue('')"
ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"
# What `recording` writes: neither names nor images have quotes or commas.
RECORD: Final = r'^[{](?:"[^",\\]*":"[^",\\]*"(?:,"[^",\\]*":"[^",\\]*")*)?[}]$'


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


def patch(*, record: bool) -> str:
    """Return the expression of the patch: ``replace`` for each image, ``add`` for the record."""
    parts = []
    before: list[str] = []
    for field in LISTS:
        at = " + ".join([*before, "i"])
        place = "image/reference" if field == LISTS[-1] else "image"
        parts.append(
            f"object.spec.?{field}.orValue([]).transformList(i, each,\n"
            f"  variables.images[{at}] != '', JSONPatch{{op: 'replace',\n"
            f"  path: '/spec/{field}/' + string(i) + '/{place}',\n"
            f"  value: variables.images[{at}]}})"
        )
        before.append(f"object.spec.?{field}.orValue([]).size()")
    if record:
        parts.append(recording())
    return " +\n".join(parts)


def recording() -> str:
    """Return the expression of the operation that writes down the images as they were.

    CEL reads no JSON. So what was written down before is added to where it has the form
    in which it is written here, and stays as it is where it has not.
    """
    names = " +\n    ".join(
        f"object.spec.?{field}.orValue([]).map(each, "
        + ("'volume:' + each.name)" if field == LISTS[-1] else "each.name)")
        for field in LISTS
    )
    pointer = f"/metadata/annotations/{ORIGINAL_IMAGES.replace('/', '~1')}"
    return (
        "(variables.images.all(new, new == '') ||\n"
        "  request.?subResource.orValue('') != '' ? [] :\n"
        f"  [object.metadata.?annotations[?'{ORIGINAL_IMAGES}'].orValue('{{}}')]\n"
        f"  .filter(before, before.matches(r'{RECORD}'))\n"
        f"  .map(before, [{names}]\n"
        "    .map(names, before.substring(1, before.size() - 1).split(',')\n"
        "      .filter(pair, pair != '' && !names.transformList(i, name,\n"
        "        variables.images[i] != '', '\"' + name + '\":')\n"
        "        .exists(key, pair.startsWith(key))) +\n"
        "      names.transformList(i, name, variables.images[i] != '',\n"
        "        '\"' + name + '\":\"' + variables.slots[i] + '\"'))[0])\n"
        "  .map(pairs, '{' + pairs.join(',') + '}')\n"
        "  .map(text, has(object.metadata.annotations) ?\n"
        f"    JSONPatch{{op: 'add', path: '{pointer}', value: text}} :\n"
        "    JSONPatch{op: 'add', path: '/metadata/annotations',\n"
        f"      value: {{'{ORIGINAL_IMAGES}': text}}}}))"
    )
