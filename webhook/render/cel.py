r"""The expressions of a policy in CEL, as the API server evaluates them (`cel`_).

They are the same for all rules, which are in ``variables.table``. An image is looked up by
its own prefixes, the longest first, so that its cost grows with the length of the longest
path in the rules, and not with their number. A value that is used twice is named by a macro
over a list of one element, as CEL in the API server has no other way.

.. _cel: https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

from typing import Final

from webhook.core.reference import (
    DIGEST,
    DOMAIN,
    MAX_HOST,
    MAX_IMAGE,
    MAX_LABEL,
    MAX_REPOSITORY,
    PATH,
    TAG,
)
from webhook.render.policy_table import (
    DEPTH_KEY,
    DOMAINS_KEY,
    EVERY_KEY,
    FLATTEN,
    IN_REGISTRIES,
    LIMIT,
    MAX_DEPTH,
    SLASH,
)

__all__ = [
    "MESSAGE",
    "NAMES_REGISTRY",
    "UNMIRRORED",
    "make_patch",
    "make_record_variables",
    "make_variables",
]

REFERENCE: Final = rf"^(?:{DOMAIN}/)?{PATH}(?::{TAG})?(?:@(?:{DIGEST}))?$"
NAME: Final = rf"^{DOMAIN}/{PATH}$"
IDENTIFIER: Final = "^[a-f0-9]{64}$"
NAMES_REGISTRY: Final = "^(?:[^/]*[.:A-Z][^/]*|localhost)/"
SHORT_ON_HUB: Final = "^docker[.]io/[^/]+$"
# First parts of a name that are no host: the grammar of a path allows underscores, and that of a
# host any length (RFC 1035).
NO_HOST: Final = rf"^(?:[^/]*_|(?:[^/:]*[.])?[^./:]{{{MAX_LABEL + 1}}}|[^/:]{{{MAX_HOST + 1}}})"

EPHEMERAL: Final = "ephemeralContainers"
VOLUMES: Final = "volumes"
LISTS: Final = ("containers", "initContainers", EPHEMERAL, VOLUMES)
SAME_IMAGE: Final = "o.?image.orValue('') == c.?image.orValue('')"

ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"
# The form in which the record is written: neither names nor images have quotes or commas.
RECORD: Final = r'^[{](?:"[^",\\]*":"[^",\\]*"(?:,"[^",\\]*":"[^",\\]*")*)?[}]$'

# The images that a policy would rewrite, and what it says of them.
UNMIRRORED: Final = "variables.images.transformList(i, new, new != '', variables.slots[i])"
MESSAGE: Final = "'these images are not from a mirror: ' + variables.unmirrored.join(', ')"


def make_variables() -> dict[str, str]:
    """Return the expressions of the variables by name, each of which may use those before it.

    ``slots`` are all images of a Pod, list by list; an image that a request does not bring
    in is empty. ``images`` has the new name of each; an image that stays is empty.
    """
    return {
        "depths": _make_depths(),
        "domains": _make_domains(),
        "slots": " +\n".join(_make_slots(field) for field in LISTS),
        "images": _make_images("slots"),
    }


def make_record_variables() -> dict[str, str]:
    """Return those that a patch with a record uses, too, in the same order as ``slots``.

    ``recorded`` are the originals that an earlier review recorded, or empty texts, ``expected``
    what the rules make of them, and ``present`` all images as they are.
    """
    return {
        "recorded": _make_recorded(),
        "expected": _make_images("recorded"),
        "present": _make_present(),
    }


def make_patch(*, record: bool) -> str:
    """Return the expression of the patch, which uses the variables.

    Args:
        record: Whether to write the original images into an annotation as well.
    """
    parts = []
    before: list[str] = []
    for field in LISTS:
        index = " + ".join([*before, "i"])
        path = "image/reference" if field == VOLUMES else "image"
        parts.append(
            f"object.spec.?{field}.orValue([]).transformList(i, each,\n"
            f"  variables.images[{index}] != '', JSONPatch{{op: 'replace',\n"
            f"  path: '/spec/{field}/' + string(i) + '/{path}',\n"
            f"  value: variables.images[{index}]}})"
        )
        before.append(f"object.spec.?{field}.orValue([]).size()")
    if record:
        parts.append(_make_record())
    return " +\n".join(parts)


def _make_depths() -> str:
    """Return how many parts to split a name into, the most first."""
    counts = ", ".join(str(count) for count in range(MAX_DEPTH + 2, 1, -1))
    depth = f"int(variables.table[?'{DEPTH_KEY}'].orValue('{MAX_DEPTH}'))"
    return f"[{counts}].filter(n, n <= {depth} + 2)"


def _make_domains() -> str:
    """Return the domains whose subdomains the table has, the longest first."""
    return (
        f"variables.table[?'{DOMAINS_KEY}'].orValue('').split(' ')\n  .filter(domain, domain != '')"
    )


def _make_slots(field: str) -> str:
    """Return the images of one list that a request brings in; the others are empty."""
    if field == VOLUMES:
        return (
            f"object.spec.?{VOLUMES}.orValue([]).map(v,\n"
            "  request.operation == 'CREATE' && has(v.image) &&\n"
            "    v.image.?pullPolicy.orValue('') != 'Never' ?\n"
            "  v.image.?reference.orValue('') : '')"
        )
    if field == EPHEMERAL:
        is_known = f"o.name == c.name && (sub != '' || {SAME_IMAGE})"
    else:
        is_known = f"sub != '' || o.name == c.name && {SAME_IMAGE}"
    return (
        f"[request.?subResource.orValue('')].map(sub, object.spec.?{field}.orValue([])\n"
        "  .map(c, c.?imagePullPolicy.orValue('') == 'Never' ||\n"
        "    request.operation == 'UPDATE' &&\n"
        f"      oldObject.spec.?{field}.orValue([]).exists(o, {is_known}) ?\n"
        "    '' : c.?image.orValue('')))[0]"
    )


def _make_images(variable: str) -> str:
    """Return the new names of the images in a variable; empty for those that stay."""
    return (
        f"variables.{variable}.map(image, ((\n"
        f"  image == '' || image.size() > {MAX_IMAGE} ||\n"
        f"    image.matches(r'{IDENTIFIER}') || !image.matches(r'{REFERENCE}') ? [] :\n"
        "  [image.split('@')[0]]\n"
        "  .map(it, it.lastIndexOf(':') > it.lastIndexOf('/') ?\n"
        "    it.substring(0, it.lastIndexOf(':')) : it)\n"
        f"  .map(it, [it].map(name, name.matches(r'{NAMES_REGISTRY}') ?\n"
        "      name : 'docker.io/' + name)\n"
        "    .map(name, name.startsWith('index.docker.io/') ? name.substring(6) : name)\n"
        f"    .map(name, name.matches(r'{SHORT_ON_HUB}') ?\n"
        "      'docker.io/library/' + name.substring(10) : name)\n"
        f"    .map(name, name.size() - name.indexOf('/') - 1 > {MAX_REPOSITORY} ||\n"
        f"      name.matches(r'{NO_HOST}') ? [] :\n"
        f"      {_indent(_make_pairs(), 6)}\n"
        f"      .map(pairs, pairs.size() > 0 ? {_indent(_make_names(), 6)} : [])[0]\n"
        f"      .map(name, name.matches(r'{SHORT_ON_HUB}') ?\n"
        "        'docker.io/library/' + name.substring(10) : name)\n"
        f"      .filter(name, name.matches(r'{NAME}') &&\n"
        f"        name.size() - name.indexOf('/') - 1 <= {MAX_REPOSITORY})\n"
        "      .map(name, name + image.substring(it.size())))[0])[0]) + [''])[0])"
    )


def _make_pairs() -> str:
    """Return the prefixes of ``name`` that are in the table, in a list of one list.

    It has pairs of a prefix and its key, of which the first counts. The empty prefix is
    that of every registry.
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


def _make_names() -> str:
    """Return the new names by the first of ``pairs``, in order of preference."""
    return (
        "variables.table[pairs[0][1]].split(' ')\n"
        f"  .filter(target, target != '' && (!target.contains('{LIMIT}') ||\n"
        f"    name.size() - pairs[0][0].size() <= int(target.split('{LIMIT}')[1])))\n"
        f"  .map(target, target.split('{LIMIT}')[0])\n"
        f"  .map(target, target.endsWith('{FLATTEN}') ?\n"
        "    target.substring(0, target.size() - 1) +\n"
        "      name.substring(name.lastIndexOf('/') + 1) :\n"
        "    target + (pairs[0][0] == '' ? '/' + name :\n"
        "      name.substring(pairs[0][0].size())))"
    )


def _make_present() -> str:
    """Return all images of a Pod as they are, in the order of ``slots``."""
    return " +\n    ".join(
        f"object.spec.?{field}.orValue([]).map(each, each.?image"
        + (".?reference" if field == VOLUMES else "")
        + ".orValue(''))"
        for field in LISTS
    )


def _make_keys() -> str:
    """Return the names of all images of a Pod in the record, in the order of ``slots``."""
    return " +\n    ".join(
        f"object.spec.?{field}.orValue([]).map(each, "
        + ("'volume:' + each.name)" if field == VOLUMES else "each.name)")
        for field in LISTS
    )


def _make_recorded() -> str:
    """Return the originals that the record has, in the order of ``slots``; else empty texts.

    CEL does not parse JSON. So an earlier record counts only if it has the form in which it
    is written here.
    """
    return (
        f"[object.metadata.?annotations[?'{ORIGINAL_IMAGES}'].orValue('')]\n"
        f".map(before, before.matches(r'{RECORD}') ?\n"
        "  before.substring(1, before.size() - 1).split(',') : [])\n"
        f".map(pairs, pairs.size() == 0 ? [] : ({_indent(_make_keys(), 2)})\n"
        "  .map(name, '\"' + name + '\":\"').map(key, (pairs.filter(pair, pair.startsWith(key))\n"
        "    .map(pair, pair.substring(key.size(), pair.size() - 1)) + [''])[0]))[0]"
    )


def _make_record() -> str:
    """Return the operation that writes the original images into an annotation.

    Those of an earlier record are kept if the rules make the present images of them, or, if
    they make nothing of them, if the images end alike: another policy has rewritten them. A
    record in another form than that in which it is written here is kept unchanged.
    """
    pointer = f"/metadata/annotations/{ORIGINAL_IMAGES.replace('/', '~1')}"
    annotation = f"object.metadata.?annotations[?'{ORIGINAL_IMAGES}']"
    return (
        f"(request.?subResource.orValue('') != '' ||\n"
        f"    variables.images.all(new, new == '') && !{annotation}.hasValue() ? [] :\n"
        f"  [{annotation}.orValue('{{}}')]\n"
        f"  .filter(before, before.matches(r'{RECORD}'))\n"
        f"  .map(before, [{_make_keys()}]\n"
        "    .map(names, names.transformList(i, name, variables.images[i] != '' ||\n"
        f"        before != '{{}}' && variables.recorded[i] != '' &&\n"
        "          variables.recorded[i] != variables.present[i] &&\n"
        "          (variables.expected[i] == variables.present[i] ||\n"
        "            variables.expected[i] == '' && variables.present[i].endsWith('/' +\n"
        "              variables.recorded[i].substring(\n"
        "                variables.recorded[i].lastIndexOf('/') + 1))),\n"
        "      '\"' + name + '\":\"' + (variables.images[i] != '' ?\n"
        "        variables.slots[i] : variables.recorded[i]) + '\"'))\n"
        "    .map(pairs, '{' + pairs.join(',') + '}')[0])\n"
        f"  .filter(text, text != {annotation}.orValue('{{}}'))\n"
        "  .map(text, text == '{}' ?\n"
        f"    JSONPatch{{op: 'remove', path: '{pointer}'}} :\n"
        "    has(object.metadata.annotations) ?\n"
        f"    JSONPatch{{op: 'add', path: '{pointer}', value: text}} :\n"
        "    JSONPatch{op: 'add', path: '/metadata/annotations',\n"
        f"      value: {{'{ORIGINAL_IMAGES}': text}}}}))"
    )


def _indent(text: str, spaces: int) -> str:
    """Return *text* with the lines after its first indented."""
    return text.replace("\n", "\n" + " " * spaces)
