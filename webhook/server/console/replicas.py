"""All replicas, and in what they differ, as a section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.server.console.markup import Markup, tag
from webhook.server.console.table import NONE, badge, code, section, table, time
from webhook.server.replicas import Difference, Presence

if TYPE_CHECKING:
    from webhook.server.console.markup import Child
    from webhook.server.console.words import Words
    from webhook.server.replicas import ReplicaRow, Replicas, ReplicaState

__all__ = ["replicas_section"]

DIFFERENCES: Final = {
    Difference.VERSION: (
        "Versions differ: a rolling update is in progress, or stopped halfway.",
        "kubectl rollout status deployment/NAME --namespace NAMESPACE",
    ),
    Difference.RULES: (
        "Rules differ: a change of the file gets about, or a replica did not take it.",
        "kubectl logs POD --namespace NAMESPACE | grep rules",
    ),
}


def replicas_section(replicas: Replicas, words: Words) -> Markup:
    """Return the section: what replicas do not have in common, and each of them."""
    heads = [words(head) for head in ("Replica", "Ready", "Version", "Rules", "Certificate until")]
    return section(
        "replicas",
        words("Replicas"),
        *notices(replicas, words),
        table(
            words("Replicas, each asked now"),
            heads,
            (row(each, words) for each in replicas.replicas),
        ),
    )


def notices(replicas: Replicas, words: Words) -> list[Markup]:
    """Return what is to be said of all of them."""
    if not replicas.complete:
        alone = words("Only this replica is known")
        return [tag("p", alone, ": ", words(replicas.reason), class_="notice doubtful")]
    found = [
        tag(
            "div",
            tag("p", words(sentence)),
            tag("p", code(command)),
            class_="notice doubtful",
        )
        for sentence, command in map(DIFFERENCES.__getitem__, replicas.differences)
    ]
    total = len(replicas.replicas)
    silent = sum(each.presence is Presence.SILENT for each in replicas.replicas)
    if silent:
        said = words("{count} of {total} replicas do not answer.", count=silent, total=total)
        found.append(tag("p", said, class_="notice bad", role="alert"))
    if not found and total > 1:
        same = "All {count} replicas have the same version and the same rules."
        found.append(tag("p", words(same, count=total), class_="notice good"))
    return found


def row(replica: ReplicaRow, words: Words) -> tuple[Child, ...]:
    """Return the cells of a replica."""
    this = tag("small", " ", words("this one")) if replica.this else None
    reason = f" {replica.reason}" if replica.reason else None
    state = replica.state
    return (
        tag("span", code(replica.name), this),
        tag("span", badge(replica.presence, words), reason),
        state.version if state else NONE,
        rules(state, words) if state else NONE,
        time(state.certificate_expires) if state else NONE,
    )


def rules(state: ReplicaState, words: Words) -> Markup:
    """Return which rules a replica has, and since when."""
    refused = words("file refused")
    return tag(
        "span",
        code(state.rules.digest),
        f" {words('since')} ",
        time(state.rules.loaded),
        " ",
        tag("span", refused, class_="badge bad") if state.rules.refused else None,
    )
