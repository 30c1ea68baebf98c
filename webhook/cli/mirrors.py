"""Asking every mirror of a policy for an image that it should have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.cli.probing import answer_cells, as_record, probe
from webhook.core import Outcome
from webhook.registry import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhook.cli.probing import Asked
    from webhook.config import PolicySettings
    from webhook.core import Decision

__all__ = [
    "COLUMNS",
    "MirrorProbe",
    "is_missing",
    "mirror_cells",
    "mirror_record",
    "probe_mirrors",
]

COLUMNS: Final = ("POLICY", "RULE", "MIRROR", "ASKED FOR", "ANSWER", "TIME")
NOT_ASKED: Final = "no image to ask for: name one with --image"

# Small images that have been there for years, under names that are not going away.
SAMPLES: Final = (
    "docker.io/library/busybox:latest",
    "gcr.io/distroless/static:latest",
    "ghcr.io/stefanprodan/podinfo:latest",
    "k8s.gcr.io/pause:3.9",
    "mcr.microsoft.com/hello-world:latest",
    "quay.io/prometheus/busybox:latest",
    "registry.k8s.io/pause:3.10",
)


class MirrorProbe(NamedTuple):
    """What was found out about one mirror of one rule.

    Attributes:
        policy: The policy's name.
        rule: The rule's name.
        mirror: The mirror's target.
        asked: What it was asked for, with the answer; None without an image to ask for.
    """

    policy: str
    rule: str
    mirror: str
    asked: Asked | None


def probe_mirrors(policy: PolicySettings, images: Iterable[str]) -> list[MirrorProbe]:
    """Ask each mirror of a policy for an image.

    Args:
        policy: The policy.
        images: Images that the mirrors should have; those of ours come after them.
    """
    decide = policy.mirrors.decide
    decisions = [
        decision
        for decision in map(decide, dict.fromkeys((*images, *SAMPLES)))
        if decision.outcome is Outcome.REWRITTEN
    ]
    found = answers(decisions, policy)
    return [
        MirrorProbe(policy.name, str(rule), mirror.target, found.get((str(rule), mirror.target)))
        for rule in policy.mirrors.rules
        for mirror in rule.mirrors
    ]


def answers(decisions: list[Decision], policy: PolicySettings) -> Mapping[tuple[str, str], Asked]:
    """Return the answers by rule and mirror; of several the first that has its image.

    A mirror in the middle of a chain is answered for by the end of it.
    """
    found: dict[tuple[str, str], Asked] = {}
    if not decisions:
        return found
    for before, each in zip(decisions, probe(policy.availability, decisions), strict=True):
        for candidate, asked in zip(before.candidates, each.candidates, strict=True):
            for rule, mirror in candidate.steps:
                known = found.setdefault((str(rule), mirror.target), asked)
                if known.finding.presence is not Presence.PRESENT:
                    found[str(rule), mirror.target] = better(known, asked)
    return found


def better(one: Asked, other: Asked) -> Asked:
    """Return the one of two answers that has its image; the first if neither has."""
    return other if other.finding.presence is Presence.PRESENT else one


def is_missing(probes: Iterable[MirrorProbe]) -> bool:
    """Say whether a mirror was asked, and is not known to have what it should."""
    return any(
        each.asked is not None and each.asked.finding.presence is not Presence.PRESENT
        for each in probes
    )


def mirror_cells(each: MirrorProbe) -> tuple[str, ...]:
    """Return the cells of a table for one mirror."""
    if each.asked is None:
        return each.policy, each.rule, each.mirror, "", NOT_ASKED, ""
    cells = answer_cells(each.asked.finding)
    return each.policy, each.rule, each.mirror, each.asked.image, *cells


def mirror_record(each: MirrorProbe) -> dict[str, Any]:
    """Return what was found out with the keys that ``--output json`` promises."""
    asked = each.asked
    return {
        "policy": each.policy,
        "rule": each.rule,
        "mirror": each.mirror,
        "image": asked.image if asked else None,
        **(
            as_record(asked.finding)
            if asked
            else {"answer": None, "answerReason": NOT_ASKED, "seconds": None}
        ),
    }
