"""The state of the webhook, as a section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.objects import OPT_OUT
from webhook.server.console.markup import Child, Markup, tag
from webhook.server.console.table import code, section, time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.server.console.values import PolicyState, State
    from webhook.server.console.words import Words

__all__ = ["state_section", "unreached"]

LABEL: Final = f"kubectl label namespace NAMESPACE {OPT_OUT}=enabled"
DISABLED: Final = f"{OPT_OUT}: disabled"
REGISTERED: Final = "kubectl get mutatingwebhookconfigurations"
EVENTS: Final = "kubectl get events --all-namespaces --field-selector type=Warning"


def state_section(state: State, words: Words) -> Markup:
    """Return the section: ready or why not, and what is in use since when."""
    ready = (
        tag("p", words("Ready: reviews come here."), class_="notice good")
        if state.ready
        else tag(
            "div",
            tag("p", words("Not ready: reviews do not come here.")),
            listed(state.problems),
            class_="notice bad",
            role="alert",
        )
    )
    refused = (
        tag(
            "div",
            tag("p", words("The rules file was refused; the rules before it are in use.")),
            listed(state.rules.refused),
            class_="notice bad",
            role="alert",
        )
        if state.rules.refused
        else None
    )
    unasked = (
        tag(
            "div",
            tag("p", words("No review has come yet.")),
            unreached(words),
            class_="notice doubtful",
        )
        if state.reviewed is None
        else None
    )
    warnings = (
        tag(
            "details",
            tag("summary", words("{count} warnings", count=len(state.rules.warnings))),
            listed(state.rules.warnings),
        )
        if state.rules.warnings
        else None
    )
    return section(
        "state",
        words("State"),
        ready,
        refused,
        unasked,
        facts(
            (words("Replica"), code(state.replica)),
            (words("Version"), state.version),
            (words("Running since"), time(state.started)),
            (
                words("Rules loaded"),
                tag("span", time(state.rules.loaded), " ", code(state.rules.digest)),
            ),
            (
                words("Certificate until"),
                tag("span", time(state.certificate.expires), " ", state.certificate.source),
            ),
            (
                words("Last review"),
                time(state.reviewed) if state.reviewed else words("none yet"),
            ),
            (
                words("Policies"),
                tag("span", *(policy(each, words) for each in state.policies)),
            ),
        ),
        warnings,
    )


def policy(state: PolicyState, words: Words) -> Markup:
    """Return a policy with its options."""
    mirrors = words("mirrors are asked") if state.checks else words("mirrors are not asked")
    count = words("{count} rules", count=state.rules)
    return tag("span", code(state.name), f" {words(state.mode)}, {count}, {mirrors}", class_="line")


def unreached(words: Words) -> Markup:
    """Return why no review may come, each with the way to find out."""
    selected = words("Is the namespace selected? It needs a label, by default:")
    reached = words("Is the webhook registered, reached and trusted?")
    opted_out = words("Did the Pod opt out? Then it has the label or annotation:")
    later = words(
        "The API server asks only for Pods that are created from now on, and only where a "
        "rule may change an image. Pods from files of a node (static Pods) cannot change."
    )
    return tag(
        "ul",
        tag("li", selected, " ", code(LABEL)),
        tag("li", reached, " ", code(REGISTERED), " ", code(EVENTS)),
        tag("li", opted_out, " ", code(DISABLED)),
        tag("li", later),
    )


def listed(texts: Iterable[str]) -> Markup:
    """Return a list of sentences."""
    return tag("ul", *(tag("li", text) for text in texts))


def facts(*pairs: tuple[str, Child]) -> Markup:
    """Return a list of names and values."""
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in pairs))
