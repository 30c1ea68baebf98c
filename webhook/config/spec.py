"""Read the ``spec`` of the custom resources: the keys of a policy, as an object has them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from webhook.config.loader import POLICY_KEYS, read_profiles
from webhook.config.models import DEFAULT_POLICY, Mode
from webhook.config.rules import (
    MIRROR_KEYS,
    TRUSTED_KEYS,
    LocatedRule,
    NamedFiles,
    RuleForm,
    read_rule_list,
)
from webhook.config.settings import AVAILABILITY_KEYS, read_availability, read_loops
from webhook.core.regex import REGEX_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.config.errors import SourceLocation
    from webhook.config.yaml_values import YAMLValue

__all__ = [
    "FILE_KEYS",
    "Kind",
    "Spec",
    "list_availability_keys",
    "list_spec_keys",
    "read_spec",
]

# A team can take neither much memory nor much time by its regular expressions: usual ones take some
# 3 KiB.
TEAM_REGEX_MEMORY: Final = 64 * 1024


class Kind(StrEnum):
    """The kinds of the custom resources."""

    PLATFORM = "ClusterMirrorRules"
    TEAM = "MirrorRules"


# An object is in no folder: these keys name files.
FILE_KEYS: Final = ("ca", "allowlist", "credentials")
# A team cannot say how the webhook reaches registries.
NETWORK_KEYS: Final = ("plainHTTP", "proxy")


def list_spec_keys(kind: Kind) -> tuple[str, ...]:
    """Return the keys of ``spec``."""
    return ("policy", *POLICY_KEYS) if kind is Kind.PLATFORM else POLICY_KEYS


def list_availability_keys(kind: Kind) -> tuple[str, ...]:
    """Return the keys of ``spec.availability``."""
    excluded = FILE_KEYS if kind is Kind.PLATFORM else (*FILE_KEYS, *NETWORK_KEYS)
    return tuple(key for key in AVAILABILITY_KEYS if key not in excluded)


@dataclass(frozen=True, slots=True)
class Spec:
    """What an object says.

    Attributes:
        rules: Its rules.
        profiles: Where each of its profiles is named.
        settings: The keys that it has of `PolicySettings`: mode, record, availability, loops.
        policy: The policy that it adds to.
        locations: Where each of its keys is; of the empty key, where it is itself.
    """

    rules: tuple[LocatedRule, ...]
    profiles: Mapping[str, SourceLocation]
    settings: Mapping[str, Any]
    policy: str
    locations: Mapping[str, SourceLocation]


def read_spec(value: YAMLValue, kind: Kind, owner: str) -> Spec:
    """Return the value of ``spec``; problems are added to its diagnostics.

    Args:
        value: The value.
        kind: The kind of the object.
        owner: `Rule.owner` of its rules.
    """
    entries = value.read_mapping(list_spec_keys(kind))
    files = NamedFiles("")
    memory = TEAM_REGEX_MEMORY if kind is Kind.TEAM else REGEX_MEMORY
    mirror_keys, trusted_keys = _without_files(MIRROR_KEYS), _without_files(TRUSTED_KEYS)
    form = RuleForm(mirror_keys, trusted_keys, False, owner, memory)
    rules = read_rule_list(entries["rules"].read_list() if "rules" in entries else [], files, form)
    settings: dict[str, Any] = {}
    if "mode" in entries:
        settings["mode"] = entries["mode"].read_choice(Mode)
    if "record" in entries:
        settings["record"] = entries["record"].read_boolean()
    if "availability" in entries:
        keys = list_availability_keys(kind)
        settings["availability"] = read_availability(entries["availability"], files, keys)
    if "loops" in entries:
        settings["loops"] = read_loops(entries["loops"])
    policy = entries["policy"].read_text() if "policy" in entries else None
    profiles = read_profiles(entries["profiles"]) if "profiles" in entries else {}
    locations = {"": value.location}
    locations |= {key: each.location for key, each in entries.items()}
    return Spec(tuple(rules), profiles, settings, policy or DEFAULT_POLICY, locations)


def _without_files(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if key not in FILE_KEYS)
