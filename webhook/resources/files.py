"""Objects in YAML files, as they are before they are applied."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from webhook.config.delegation import Delegation
from webhook.config.errors import ConfigurationError, Diagnostics, Problem
from webhook.config.lint import lint_profiles, lint_rules
from webhook.config.models import DEFAULT_POLICY, Configuration, PolicySettings
from webhook.config.spec import Kind, read_spec
from webhook.config.yaml_values import YAMLValue, compose_documents
from webhook.core import Availability, MirrorMap, parse_match
from webhook.core.rules import EVERY_REGISTRY
from webhook.kube.selectors import make_labels
from webhook.profiles import PROFILES
from webhook.resources.effective import build_effective
from webhook.resources.objects import API_VERSION, ResourceObject, name_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from webhook.resources.effective import Effective

__all__ = ["ObjectFile", "check_objects", "contains_objects", "merge_objects", "parse_objects"]

OBJECT_KEYS: Final = ("apiVersion", "kind", "metadata", "spec", "status")
GROUP: Final = API_VERSION.partition("/")[0]
_FIND_OBJECT: Final = re.compile(rf"""apiVersion["']?\s*:\s*["']?{re.escape(GROUP)}/""".encode())


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """The objects of a file.

    Attributes:
        objects: The objects, in the order of the file.
        labels: The labels of the namespaces that the file has as well.
    """

    objects: tuple[ResourceObject, ...]
    labels: Mapping[str, Mapping[str, str]]


def contains_objects(content: bytes) -> bool:
    """Return whether a file has objects with rules, and is not a rules file."""
    return _FIND_OBJECT.search(content) is not None


def parse_objects(content: bytes, origin: str) -> ObjectFile:
    """Return the objects of a YAML file, which may hold other kinds as well; they may be invalid.

    Args:
        content: The file.
        origin: Its name, for messages.

    Raises:
        ConfigurationError: It is not YAML, or an object has no name or an unknown kind.
    """
    diagnostics = Diagnostics()
    objects: list[ResourceObject] = []
    labels: dict[str, Mapping[str, str]] = {}
    for value in _iterate_objects(compose_documents(content, origin, diagnostics)):
        version = _read_scalar(_peek(value), "apiVersion")
        if version.startswith(f"{GROUP}/"):
            found = _read_object(value, len(objects))
            if found is not None:
                objects.append(found)
            continue
        entries = value.read_mapping()
        if (version, _read_scalar(entries, "kind")) == ("v1", "Namespace"):
            metadata = entries["metadata"].read_mapping() if "metadata" in entries else {}
            texts = metadata["labels"].read_mapping() if "labels" in metadata else {}
            name = _read_scalar(metadata, "name")
            labels[name] = {key: _read_scalar(texts, key) for key in texts}
    diagnostics.finish()
    return ObjectFile(tuple(objects), labels)


def _iterate_objects(documents: Iterable[YAMLValue]) -> Iterator[YAMLValue]:
    """Yield each object, also those in a List."""
    for document in documents:
        entries = _peek(document)
        if _read_scalar(entries, "kind") == "List" and "items" in entries:
            for item in document.read_mapping()["items"].read_list():
                location = replace(item.location, path="")
                yield YAMLValue(item.node, location, item.diagnostics)
        else:
            yield document


def _peek(value: YAMLValue) -> dict[str, YAMLValue]:
    """Return the entries of a mapping without adding problems, to see what it is."""
    return YAMLValue(value.node, value.location, Diagnostics()).read_mapping()


def _read_scalar(entries: Mapping[str, YAMLValue], key: str) -> str:
    """Return a text; empty if it is missing, or is something else."""
    value = entries[key].node.value if key in entries else ""
    return value if isinstance(value, str) else ""


def _read_object(value: YAMLValue, number: int) -> ResourceObject | None:
    """Return an object of our group; None if it is unclear which it is."""
    before = len(value.diagnostics.problems)
    entries = value.read_mapping(OBJECT_KEYS)
    if _read_scalar(entries, "apiVersion") != API_VERSION:
        entries["apiVersion"].add_problem(f"unknown version: write {API_VERSION}")
    kind = entries["kind"].read_choice(Kind) if "kind" in entries else None
    if "kind" not in entries:
        value.add_problem(f"the object has no kind: add kind: {' or '.join(Kind)}")
    metadata = entries["metadata"].read_mapping() if "metadata" in entries else {}
    name, namespace = _read_scalar(metadata, "name"), _read_scalar(metadata, "namespace")
    if not name:
        value.add_problem("the object has no name: add metadata.name")
    if "spec" not in entries:
        value.add_problem("the object has no spec: add one with rules")
    if len(value.diagnostics.problems) != before or kind is None:
        return None
    namespace = namespace if kind is Kind.TEAM else ""
    diagnostics = Diagnostics()
    read = YAMLValue(entries["spec"].node, entries["spec"].location, diagnostics)
    spec = read_spec(read, kind, name_object(kind, namespace, name))
    # The first one of the file counts as the oldest.
    problems = tuple(diagnostics.problems)
    return ResourceObject(kind, namespace, name, str(number), 1, f"{number:09}", spec, problems)


def check_objects(file: ObjectFile, configuration: Configuration | None) -> Configuration:
    """Return each object of a file as a policy of its own, and warnings.

    What the file does not say is taken to be right: without a rules file every mirror is allowed,
    and images are checked; a namespace whose labels are unknown may have rules.

    Args:
        file: The objects.
        configuration: The rules file that they are added to; None if it is unknown.

    Raises:
        ConfigurationError: An object is refused.
    """
    effective = _apply(file, configuration or _make_base(file.objects, Availability()))
    policies = {str(each): _summarize(each) for each in file.objects}
    return Configuration(MappingProxyType(policies), _lint(file, effective), "")


def merge_objects(file: ObjectFile, origin: str) -> Configuration:
    """Return the policies that the objects of a file make by themselves, as a rules file would.

    With MirrorRules, they are those of the namespace of these.

    Args:
        file: The objects.
        origin: The name of the file, for messages.

    Raises:
        ConfigurationError: An object is refused, or there are MirrorRules of several namespaces.
    """
    namespaces = sorted({each.namespace for each in file.objects} - {""})
    if len(namespaces) > 1:
        problem = (
            f"the file has MirrorRules of several namespaces ({', '.join(namespaces)}), and each "
            "has rules of its own: give a file for each"
        )
        raise ConfigurationError([Problem(origin, message=problem)])
    effective = _apply(file, _make_base(file.objects, None))
    namespace = namespaces[0] if namespaces else ""
    found = {name: effective.find(name, namespace) for name in effective.policies}
    merged = {name: settings for name, settings in found.items() if settings is not None}
    return Configuration(MappingProxyType(merged), _lint(file, effective), "")


def _apply(file: ObjectFile, base: Configuration) -> Effective:
    """Return a rules file together with the objects of a file.

    Raises:
        ConfigurationError: An object is refused.
    """
    selector = base.delegation.namespaces if base.delegation else {}
    labels: dict[str, Mapping[str, str]] = {
        each.namespace: make_labels(selector) for each in file.objects
    }
    by_kind = {kind: [each for each in file.objects if each.kind is kind] for kind in Kind}
    effective = build_effective(
        base, by_kind[Kind.PLATFORM], by_kind[Kind.TEAM], labels | dict(file.labels)
    )
    verdicts = [effective.verdicts[each.uid] for each in file.objects]
    problems = [problem for verdict in verdicts for problem in verdict.problems]
    if problems:
        raise ConfigurationError(problems)
    return effective


def _lint(file: ObjectFile, effective: Effective) -> tuple[str, ...]:
    """Return warnings about objects that are accepted."""
    diagnostics = Diagnostics()
    for each in file.objects:
        settings = effective.find(each.spec.policy, each.namespace)
        if settings is not None:
            lint_profiles(each.spec.profiles, diagnostics)
            lint_rules(each.spec.rules, settings.mirrors, diagnostics)
    return diagnostics.finish()


def _summarize(each: ResourceObject) -> PolicySettings:
    """Return the content of an object alone."""
    profiles = (rule for name in each.spec.profiles for rule in PROFILES[name].rules)
    by_match = {rule.name: rule for rule in profiles} | {r.name: r for r, _ in each.spec.rules}
    settings = PolicySettings(str(each), MirrorMap(by_match.values()))
    return replace(settings, profiles=tuple(each.spec.profiles), **each.spec.settings)


def _make_base(
    objects: Iterable[ResourceObject], availability: Availability | None
) -> Configuration:
    """Return an empty rules file that has the policies of some objects and allows everything."""
    names = dict.fromkeys((DEFAULT_POLICY, *(each.spec.policy for each in objects)))
    policies = {
        name: PolicySettings(name, MirrorMap([]), availability=availability) for name in names
    }
    delegation = Delegation({}, (parse_match(EVERY_REGISTRY),))
    return Configuration(MappingProxyType(policies), (), "", delegation=delegation)
