"""Read the rules of a policy, and the files that they name."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from errno import EINVAL
from functools import partial
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

from webhook.config.yaml_values import MAX_BYTES
from webhook.core import Allowlist, InvalidRuleError, Mirror, Original, Rule, parse_match
from webhook.core.errors import CHECK_PATH, quote
from webhook.core.regex import REGEX_MEMORY, Regex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.config.errors import SourceLocation
    from webhook.config.yaml_values import YAMLValue

__all__ = [
    "MIRROR_KEYS",
    "RULE_KEYS",
    "TRUSTED_KEYS",
    "LocatedRule",
    "NamedFiles",
    "RuleForm",
    "compute_digest",
    "read_file",
    "read_rule_list",
]

RULE_KEYS: Final = (
    "match",
    "regex",
    "mirrors",
    "keep",
    "original",
    "verify",
    "trusted",
    "enforced",
)
MIRROR_KEYS: Final = ("target", "flatten", "pullSecrets", "ca", "allowlist")
TRUSTED_KEYS: Final = ("target", "flatten", "ca")
# An RFC 1123 subdomain, which the API server requires for the names of Secrets.
SECRET_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
# `InvalidRuleError.field`
FIELD: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")


class Verify(StrEnum):
    """What an image of a mirror must have in common with the original."""

    DIGEST = "digest"


class LocatedRule(NamedTuple):
    """A rule of the file, and where it is."""

    rule: Rule
    location: SourceLocation


class RuleForm(NamedTuple):
    """How rules are written.

    Attributes:
        mirror_keys: The keys of a mirror.
        trusted_keys: The keys of ``trusted``.
        has_short_form: Whether a mirror may be written as its target.
        owner: `Rule.owner`.
        regex_memory: Upper bound of the memory of one regular expression, in bytes.
    """

    mirror_keys: tuple[str, ...] = MIRROR_KEYS
    trusted_keys: tuple[str, ...] = TRUSTED_KEYS
    has_short_form: bool = True
    owner: str = ""
    regex_memory: int = REGEX_MEMORY


FILE_FORM: Final = RuleForm()


def read_file(path: Path) -> bytes:
    """Return the content of a regular file, or enough of it to exceed `MAX_BYTES`.

    Nothing else is read: reading a FIFO or a device may never end.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "it is not a regular file")
        return file.read(MAX_BYTES + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def compute_digest(content: bytes, files: Iterable[Path]) -> str:
    """Return the SHA-256 of a rules file and of the files that it names, in hexadecimal.

    Args:
        content: The rules file.
        files: The other files. One that cannot be read differs from any that can.
    """
    digest = sha256(content)
    for file in files:
        try:
            digest.update(b"\0" + sha256(read_file(file)).digest())
        except OSError:
            digest.update(b"\1")
    return digest.hexdigest()


class NamedFiles:
    """The files that a rules file names, by paths relative to its own folder.

    Args:
        origin: The rules file.

    Attributes:
        ca_files: CA files by registry. They are read when the registry is asked.
    """

    def __init__(self, origin: str) -> None:
        self._folder = Path(origin).parent
        self._allowlists: dict[Path, Allowlist | None] = {}
        self.ca_files: dict[str, str] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files whose content affects decisions, also those that cannot be read."""
        return tuple(self._allowlists)

    def read_path(self, value: YAMLValue) -> str | None:
        """Return the path of a file."""
        text = value.read_text()
        if text == "":
            value.add_problem("expected the path of a file, got an empty string")
        return str(self._folder / text) if text else None

    def read_allowlist(self, value: YAMLValue) -> Allowlist | None:
        """Return the allowlist in the file that *value* names."""
        path = self.read_path(value)
        if path is None:
            return None
        file = Path(path)
        if self._allowlists.get(file) is None:
            self._allowlists[file] = None
            try:
                content = read_file(file)
                if len(content) > MAX_BYTES:
                    value.add_problem(f"{path} is larger than {MAX_BYTES} bytes")
                else:
                    self._allowlists[file] = Allowlist(content.decode(), file.name)
            except OSError as error:
                problem = f"{path} cannot be read: {error.strerror or error}; {CHECK_PATH}"
                value.add_problem(problem)
            except UnicodeDecodeError:
                value.add_problem(f"{path} is not UTF-8: save it as UTF-8")
            except InvalidRuleError as error:
                value.add_problem(error.problem)
        return self._allowlists[file]

    def read_ca_file(self, value: YAMLValue, registry: str) -> None:
        """Take the CA file that *value* names for *registry*."""
        if "\\" in registry:
            value.add_problem(
                "a CA file is for one host, but this target takes its host from the regex"
            )
            return
        path = self.read_path(value)
        if path is not None and self.ca_files.setdefault(registry, path) != path:
            value.add_problem(
                f"{registry} already has the CA file {self.ca_files[registry]}: a registry can "
                "have only one"
            )


def read_rule_list(
    values: Iterable[YAMLValue], files: NamedFiles, form: RuleForm = FILE_FORM
) -> list[LocatedRule]:
    """Return the rules that are valid, and the first of their match.

    Args:
        values: The items of ``rules``.
        files: Collects the files that they name.
        form: How they are written.
    """
    rules: list[LocatedRule] = []
    locations: dict[str, SourceLocation] = {}
    for value in values:
        name, rule = _read_rule(value, files, form)
        first = locations.get(name)
        if first is not None:
            place = f"line {first.line} ({first.path})" if first.line else first.path
            value.add_problem(
                f"{place} already has a rule for {name}: put the mirrors into one rule"
            )
            continue
        if name:
            locations[name] = value.location
        if rule is not None:
            rules.append(LocatedRule(rule, value.location))
    return rules


def _read_rule(value: YAMLValue, files: NamedFiles, form: RuleForm) -> tuple[str, Rule | None]:
    """Return `Rule.name`, empty if that is wrong, and the rule, None if anything is wrong."""
    before = len(value.diagnostics.problems)
    entries = value.read_mapping(RULE_KEYS)
    if len(value.diagnostics.problems) == before:
        if "match" not in entries and "regex" not in entries:
            value.add_problem("the rule has neither match nor regex: add one of them")
        if "mirrors" not in entries and "keep" not in entries:
            value.add_problem("the rule has neither mirrors nor keep: true: add one of them")
    match = entries["match"].read_as(parse_match) if "match" in entries else None
    regex = entries["regex"].read_text() if "regex" in entries else None
    compile_regex = partial(Regex, memory=form.regex_memory)
    mirrors = _read_mirrors(entries["mirrors"], files, form) if "mirrors" in entries else []
    keep = entries["keep"].read_boolean() if "keep" in entries else False
    original = entries["original"].read_choice(Original) if "original" in entries else None
    verify = entries["verify"].read_choice(Verify) if "verify" in entries else None
    trusted = (
        _read_mirror(entries["trusted"], files, form.trusted_keys, form)
        if "trusted" in entries
        else None
    )
    enforced = entries["enforced"].read_boolean() if "enforced" in entries else False
    name = f"/{regex}/" if regex is not None else ""
    if "match" in entries:
        name = str(match or "")
    if len(value.diagnostics.problems) != before:
        if regex is not None:
            entries["regex"].read_as(compile_regex)
        return name, None
    try:
        return name, Rule(
            None if match is None else str(match),
            mirrors,
            regex=None if regex is None else compile_regex(regex),
            keep=bool(keep),
            original=original or Original.LAST,
            verify=verify is not None,
            trusted=trusted,
            enforced=bool(enforced),
            owner=form.owner,
        )
    except InvalidRuleError as error:
        _find_field(value, entries, error.field).add_problem(error.problem)
        return name, None


def _read_mirrors(value: YAMLValue, files: NamedFiles, form: RuleForm) -> list[Mirror]:
    items = value.read_list()
    if isinstance(value.node, yaml.SequenceNode) and not items:
        value.add_problem("the list is empty: add a mirror, or write keep: true instead")
    mirrors = [_read_mirror(item, files, form.mirror_keys, form) for item in items]
    return [mirror for mirror in mirrors if mirror is not None]


def _read_mirror(
    value: YAMLValue, files: NamedFiles, keys: tuple[str, ...], form: RuleForm
) -> Mirror | None:
    """Return a mirror, which is written as its target or as a mapping with some of *keys*."""
    if not isinstance(value.node, yaml.MappingNode):
        if form.has_short_form:
            return value.read_as(Mirror)
        value.add_problem(
            f"expected a mapping, got {value.describe()}: write - target: {value.node.value}"
        )
        return None
    before = len(value.diagnostics.problems)
    entries = value.read_mapping(keys)
    flatten = bool(entries["flatten"].read_boolean()) if "flatten" in entries else False
    secrets = _read_secrets(entries["pullSecrets"]) if "pullSecrets" in entries else ()
    allowlist = files.read_allowlist(entries["allowlist"]) if "allowlist" in entries else None
    if "target" not in entries:
        if len(value.diagnostics.problems) == before:
            value.add_problem("the mirror has no target: add target: host[:port][/path]")
        return None
    make = partial(Mirror, flatten=flatten, pull_secrets=secrets, allowlist=allowlist)
    mirror = entries["target"].read_as(make)
    if mirror is not None and "ca" in entries:
        files.read_ca_file(entries["ca"], mirror.registry)
    return mirror


def _read_secrets(value: YAMLValue) -> tuple[str, ...]:
    """Return names of Secrets, each once."""
    names: dict[str, None] = {}
    for item in value.read_list():
        name = item.read_text()
        if name is None:
            continue
        if SECRET_NAME.fullmatch(name):
            names[name] = None
        else:
            item.add_problem(
                f"{quote(name)} is not a valid name of a Secret: use lower-case letters, digits, "
                "dashes and dots"
            )
    return tuple(names)


def _find_field(rule: YAMLValue, entries: dict[str, YAMLValue], field: str) -> YAMLValue:
    """Return the part of a rule that `InvalidRuleError.field` names."""
    found = FIELD.fullmatch(field)
    if found is None or found[1] not in entries:
        return rule
    part = entries[found[1]]
    return part.read_list()[int(found[2])] if found[2] else part
