"""Convert replacements by regular expressions, as in Go's ``ReplaceAllString``, to rules."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from webhook.core import InvalidRuleError, parse_match
from webhook.imports.patterns import (
    TAGS,
    Atom,
    Sequence,
    UnsupportedPatternError,
    compile_go,
    escape,
    find_literals,
    is_whole_registry,
    join_atoms,
    may_reach_tag,
    parse_atoms,
)

__all__ = ["Replacement", "parse_replacement"]

_REFERENCE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\}|(\$))")
_REST: Final = Atom("(.*)", "", ((Atom(".", "*"),),))
_MAX_GROUPS: Final = 9


class Replacement(NamedTuple):
    r"""What a replacement makes of names.

    Attributes:
        regex: For ``registry/repository``.
        template: The new name, with ``\1`` for the groups.
        prefix: The same as ``match`` of a rule, ``*`` for every image; empty if it is more.
        target: What takes the place of the prefix.
        literals: What names that match start with; a line feed ends a whole name.
        notes: What the rule does differently.
    """

    regex: str
    template: str
    prefix: str = ""
    target: str = ""
    literals: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()


def parse_replacement(pattern: str, replacement: str, registry: str = "") -> Replacement:
    """Return what replacing *pattern* by *replacement* makes of an image.

    Args:
        pattern: A regular expression in Go's syntax.
        replacement: The new text; ``$1`` and ``${1}`` are groups.
        registry: Match only the repository of images on this registry, without a tag; the
            template is a repository, too. Empty for the whole of an image.

    Raises:
        UnsupportedPatternError: No rule does the same.
    """
    compiled = compile_go(pattern)
    template = _REFERENCE.sub(lambda match: _expand(match, compiled), replacement)
    alternatives = parse_atoms(pattern, captures=True)
    if len(alternatives) > 1:
        raise UnsupportedPatternError("it has alternatives outside of a group")
    atoms, notes = _anchor(alternatives[0])
    groups = compiled.groups
    if str(atoms[-1:][0] if atoms else "") in ("$", r"\z"):
        atoms = atoms[:-1]
    elif not (atoms and (_matches_rest(atoms[-1]) or _is_optional_tag(atoms[-1]))):
        groups += 1
        atoms, template = (*atoms, _REST), f"{template}\\{groups}"
    if any(str(each) in ("^", "$", r"\A", r"\z") for each in atoms):
        raise UnsupportedPatternError("it has an anchor in the middle")
    if not registry:
        atoms, template = _drop_tag(atoms, template, groups)
        notes = (*notes, *_find_notes(atoms))
    highest = max((int(each) for each in re.findall(r"\\(\d+)", template)), default=0)
    if highest > _MAX_GROUPS:
        raise UnsupportedPatternError(f"it uses more than {_MAX_GROUPS} groups")
    host = f"{escape(registry)}/" if registry else ""
    prefix, target = _find_prefix(atoms, template, groups, registry)
    regex = host + join_atoms(atoms)
    literals = find_literals(atoms, f"{registry}/" if registry else "")
    return Replacement(regex, template, prefix, target, literals, notes)


def _expand(match: re.Match[str], pattern: re.Pattern[str]) -> str:
    r"""Return ``\1`` for a reference to a group; like Go, nothing for an unknown one."""
    if match[3]:
        raise UnsupportedPatternError("it has $$, and names have no $")
    name = match[1] or match[2]
    is_number = re.fullmatch(r"[0-9]{1,9}", name) is not None
    number = int(name) if is_number else pattern.groupindex.get(name, -1)
    if not 0 <= number <= pattern.groups:
        return ""
    return f"\\{number}"


def _anchor(atoms: Sequence) -> tuple[Sequence, tuple[str, ...]]:
    """Return *atoms* from the start of an image on, with a note if they match elsewhere, too."""
    if atoms and str(atoms[0]) in ("^", r"\A"):
        return atoms[1:], ()
    if atoms and (str(atoms[0]).strip("()?:") in (".*", ".+")):
        return atoms, ()
    starts = find_literals(atoms)
    if all("/" in each or is_whole_registry(each.rstrip()) for each in starts):
        return atoms, ("it matches anywhere in an image, the rule only at the start",)
    raise UnsupportedPatternError("it matches anywhere in an image")


def _drop_tag(atoms: Sequence, template: str, groups: int) -> tuple[Sequence, str]:
    """Return *atoms* and *template* for names without a tag, which rules always keep."""
    last = f"\\{groups}"
    before = template.removesuffix(last)
    if groups and before != template and last not in before and atoms:
        end = atoms[-1]
        if end.text.startswith("(") and end.is_open and not end.quantifier:
            if str(end) == "(.+)" and len(atoms) > 1 and atoms[-2].literal not in ("/", ":"):
                return (*atoms[:-1], _REST), template  # the tag is enough
            if len(atoms) > 1 and atoms[-2].literal == ":" and before.endswith(":"):
                return atoms[:-2], before.removesuffix(":")
            return atoms, template
        if _is_optional_tag(end):
            return atoms[:-1], before
    raise UnsupportedPatternError("its result does not keep the tag of each image")


def _matches_rest(atom: Atom) -> bool:
    """Return whether *atom* matches whatever follows, also slashes."""
    return all(re.fullmatch(str(atom), f"a/b:{tag}/c") for tag in TAGS)


def _is_optional_tag(atom: Atom) -> bool:
    return atom.quantifier == "?" and all(re.fullmatch(atom.text, f":{tag}") for tag in TAGS)


def _find_notes(atoms: Sequence) -> tuple[str, ...]:
    """Return a note if an atom before the last may reach into the tag."""
    in_repository = False
    for index, atom in enumerate(atoms[:-1]):
        in_repository = in_repository or atom.may_match("/")
        if in_repository and atom.may_match(":") and may_reach_tag(atoms[index + 1 :]):
            return ("it also matches tags, the rule only names",)
    return ()


def _take_literals(atoms: Sequence) -> Sequence:
    for index, atom in enumerate(atoms):
        if not atom.literal:
            return atoms[:index]
    return atoms


def _find_prefix(atoms: Sequence, template: str, groups: int, registry: str) -> tuple[str, str]:
    """Return the match and the target of a rule that does the same; empty if there is none."""
    literals = _take_literals(atoms)
    text = "".join(each.literal for each in literals)
    rest = [str(each) for each in atoms[len(literals) :]]
    before = template.removesuffix(f"\\{groups}")
    if rest not in (["(.*)"], ["(.+)"]) or before == template or "\\" in before:
        return "", ""
    target = before.removesuffix("/")
    if not text.endswith("/") and text:
        # "docker.io" alone, of which the slash stays behind.
        whole = not registry and before == target and is_whole_registry(text)
        return (text, target) if whole else ("", "")
    if before == target:
        return "", ""
    if not text:
        return (registry or "*"), target
    prefix = f"{registry}/{text}" if registry else text
    try:
        return str(parse_match(prefix.rstrip("/"))), target
    except InvalidRuleError:
        return "", ""
