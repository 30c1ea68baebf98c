"""The patch of a policy, in CEL: ``replace`` for each image, ``add`` for the record of them.

It is made of ``variables.slots`` and ``variables.images``, of which each image has the
same place as in the lists of the Pod, one list behind the other.
"""

from __future__ import annotations

from typing import Final

from webhook.render.cel import LISTS

__all__ = ["patch"]

ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"
# What `recording` writes: neither names nor images have quotes or commas.
RECORD: Final = r'^[{](?:"[^",\\]*":"[^",\\]*"(?:,"[^",\\]*":"[^",\\]*")*)?[}]$'


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
