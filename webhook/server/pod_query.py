"""A search for Pods: by the name that kubectl shows, by owner, by namespace, or by image."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

__all__ = ["MatchRank", "PodQuery"]

# As k8s.io/apiserver, storage/names/generate.go, makes a name of a generateName.
RANDOM_CHARACTERS: Final = frozenset("bcdfghjklmnpqrstvwxz2456789")
RANDOM_LENGTH: Final = 5
# The longest generateName that is not cut: 63 characters for a name, or 253 in later versions.
MAX_BASES: Final = (63 - RANDOM_LENGTH, 253 - RANDOM_LENGTH)
NAMESPACE_OPTION: Final = re.compile(r"(?:^|\s)(?:-n|--namespace)(?:\s+|=)(\S+)")
LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")  # what namespaces are named
NAME: Final = re.compile(r"[A-Za-z0-9./-]+")  # no image with a tag or a digest
READY: Final = re.compile(r"\d+/\d+")  # the column after the name in `kubectl get pods`
SHORT_KINDS: Final = {
    "po": "pod",
    "deploy": "deployment",
    "rs": "replicaset",
    "sts": "statefulset",
    "ds": "daemonset",
    "cj": "cronjob",
    "rc": "replicationcontroller",
    "no": "node",
}


class MatchRank(IntEnum):
    """How a record matches a query, the best first."""

    POD = 0  # it is the Pod
    OWNER = 1  # the Pod's owner is searched for
    NAMESPACE = 2  # its namespace is
    PART = 3  # a name or an image contains the text
    ANY = 4  # nothing is searched for


@dataclass(frozen=True, slots=True)
class _Name:
    """One way to read the text: a namespace, a kind and a name, each empty if it is not given."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class PodQuery:
    """What is searched for.

    Attributes:
        text: A Pod as kubectl shows it, with or without its namespace, an owner such as
            ``deployment/web``, a namespace, or a part of an image; empty for everything.
        namespace: A part of the namespace; empty for all.
        outcome: An outcome of a review or of an image; empty for all.
        problems: Only Pods with a warning, or that an error kept from being rewritten.
        limit: How many Pods to return at most.
    """

    text: str = ""
    namespace: str = ""
    outcome: str = ""
    problems: bool = False
    limit: int = 100
    _names: tuple[_Name, ...] = field(init=False, repr=False)
    _part: str = field(init=False, repr=False)
    _encoded_part: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text = " ".join(self.text.split())
        object.__setattr__(self, "_names", tuple(_read_names(text)))
        object.__setattr__(self, "_part", text.lower())
        encoded = json.dumps(text.lower(), ensure_ascii=False)[1:-1]
        object.__setattr__(self, "_encoded_part", encoded.encode())

    @property
    def named_namespaces(self) -> frozenset[str]:
        """The namespaces that the text names."""
        return frozenset(each.namespace for each in self._names if each.namespace)

    @property
    def pod_name(self) -> str:
        """The name that the text gives a Pod, or something else; empty if it gives none."""
        return next((each.name for each in self._names if each.kind in ("", "pod")), "")

    def covers(self, namespace: str) -> bool:
        """Return whether the filter allows a namespace."""
        return self.namespace.lower() in namespace.lower()

    def match(self, namespace: str, pod: str, owner: str, *, generated: bool) -> MatchRank | None:
        """Return how a Pod matches, apart from its images; None if it does not.

        Args:
            namespace: Its namespace.
            pod: Its name or generateName.
            owner: Kind and name of its owner.
            generated: Whether *pod* is a generateName.
        """
        if not self._part:
            return MatchRank.ANY
        ranks = [_match_name(each, namespace, pod, owner, generated) for each in self._names]
        best = min((rank for rank in ranks if rank is not None), default=None)
        if best is None and any(map(self.is_part_of, (pod, owner, namespace))):
            return MatchRank.PART
        return best

    def may_be_in(self, images: bytes) -> bool:
        """Return whether JSON may contain the text in a value; False only if it does not."""
        return self._encoded_part in images.lower()

    def is_part_of(self, value: str) -> bool:
        """Return whether a value contains the text, in any case."""
        return self._part in value.lower()


def _read_names(text: str) -> list[_Name]:
    """Return all ways to read a text as a name."""
    option = NAMESPACE_OPTION.search(text)
    namespace = option[1] if option else ""
    words = (text[: option.start()] + text[option.end() :] if option else text).split()
    if words and not NAME.fullmatch(words[0]):
        return []
    if not namespace and len(words) > 1 and not READY.fullmatch(words[1]):
        namespace, *words = words
    if not words:
        return [_Name(namespace, "", "")] if namespace else []
    match words[0].split("/"):
        case [name]:
            return [_Name(namespace, "", name)]
        case [first, ""]:
            return [_Name(namespace or first, "", "")]
        case [first, name]:
            kind = _Name(namespace, _read_kind(first), name)
            return [kind, _Name(namespace or first, "", name)] if LABEL.fullmatch(first) else [kind]
        case [first, kind, name] if LABEL.fullmatch(first):
            return [_Name(namespace or first, _read_kind(kind), name)]
    return []


def _read_kind(text: str) -> str:
    """Return a kind as in ``deployments.apps`` in lower case, in the singular and without group."""
    kind = text.lower().partition(".")[0]
    return SHORT_KINDS.get(kind, kind.removesuffix("s"))


def _match_name(
    wanted: _Name, namespace: str, pod: str, owner: str, generated: bool
) -> MatchRank | None:
    if wanted.namespace and wanted.namespace != namespace:
        return None
    if not wanted.name:
        return MatchRank.NAMESPACE
    if wanted.kind in ("", "pod") and (
        wanted.name == pod or (generated and _is_generated_from(pod, wanted.name))
    ):
        return MatchRank.POD
    if _is_owner(wanted, pod, owner, generated):
        return MatchRank.OWNER
    if not wanted.kind and not wanted.namespace and wanted.name == namespace:
        return MatchRank.NAMESPACE
    return None


def _is_generated_from(prefix: str, name: str) -> bool:
    """Return whether the API server may have made a name of a generateName."""
    base, random = name[:-RANDOM_LENGTH], name[-RANDOM_LENGTH:]
    return any(base == prefix[:most] for most in MAX_BASES) and RANDOM_CHARACTERS.issuperset(random)


def _is_owner(wanted: _Name, pod: str, owner: str, generated: bool) -> bool:
    kind, _, name = owner.partition("/")
    kind = kind.lower()
    if wanted.name == name and wanted.kind in ("", kind, kind.removesuffix("s")):
        return True
    if wanted.kind == "cronjob" and kind == "job":
        # A CronJob names its Jobs after the minute.
        return name.removesuffix(name.rpartition("-")[2]) == f"{wanted.name}-"
    # The ReplicaSet of a Deployment.
    return generated and wanted.kind in ("", "replicaset") and pod == f"{wanted.name}-"
