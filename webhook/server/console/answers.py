"""The answer to a search for Pods: what was decided, by whom, and what is not known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from typing import TYPE_CHECKING, Final

from webhook.admission import ReviewOutcome
from webhook.core import NEXT_STEPS, Outcome
from webhook.objects import OPT_OUT
from webhook.server.console.selection import REMOVE_OPT_OUT, SelectionView
from webhook.server.history import ImageRecord

if TYPE_CHECKING:
    from webhook.server.console.replicas import SearchResult
    from webhook.server.history import PodRecord

__all__ = ["AnswerView", "ImageView", "NamespaceView", "PodView", "make_answer"]

READ_THE_LOG: Final = "see the log of the webhook, and report the error"


@dataclass(frozen=True, slots=True)
class ImageView(ImageRecord):
    """The decision on one image, with what to do about it.

    Attributes:
        next: What to do if that is not what you want; empty if nothing is to be done.
    """

    next: str = ""


@dataclass(frozen=True, slots=True)
class PodView:
    """The decisions on a Pod, or on all Pods of a generateName that got the same.

    Attributes:
        name: The name of the Pod that was searched for, or else the same as *pod*.
        pod: The Pod's name, or its generateName.
        generated: Whether it is the generateName, because the Pod had no name yet.
        owner: Kind and name of what controls it, such as ``Deployment/web``; empty for nothing.
        operation: ``CREATE`` or ``UPDATE``.
        dry: Whether the request was a dry run.
        outcome: The outcome of the review.
        reason: Why no image was looked at.
        next: What to do about that; empty if nothing is to be done.
        problem: Whether whoever created the Pod got a warning.
        first: When the first such Pod was reviewed.
        last: When the last one was.
        count: How many there were.
        match: ``pod``, ``owner``, ``namespace`` or ``part``: what matches the text; ``any`` if
            there is no text.
        images: The images.
        more: How many more images the Pod has, which did not fit into the memory.
    """

    namespace: str
    name: str
    pod: str
    generated: bool
    owner: str
    policy: str
    operation: str
    dry: bool
    outcome: str
    reason: str
    next: str
    problem: bool
    first: datetime
    last: datetime
    count: int
    match: str
    images: list[ImageView]
    more: int


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """What is known of a namespace.

    Attributes:
        since: All its reviews since then are known, except those of replicas that have ended.
        reviews: How many came, also before that time, to the replicas that answered.
        selection: Whether the API server calls the webhook for its Pods; None if the answer does
            not depend on it.
    """

    name: str
    since: datetime
    reviews: int
    selection: SelectionView | None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """The answer to a search.

    Attributes:
        time: When the replicas were asked.
        replicas: How many replicas there are, as far as is known.
        answered: How many of them answered, this one included.
        missing: Why the others did not, or why only this one is known.
        since: All reviews since then are known, except those of replicas that have ended.
        found: How many Pods match; *pods* has the first of them.
        pods: The Pods, the best match first, then the latest.
        namespaces: What is known of the namespaces that the text may name.
    """

    time: datetime
    replicas: int
    answered: int
    missing: list[str]
    since: datetime
    found: int
    pods: list[PodView]
    namespaces: list[NamespaceView]


def make_answer(
    result: SearchResult, time: datetime, selections: dict[str, SelectionView], name: str
) -> AnswerView:
    """Return the answer to a search.

    Args:
        result: What the replicas know.
        time: When they were asked.
        selections: What is known of the selection of some namespaces.
        name: The name that was searched for, if it can be that of a Pod.
    """
    found = result.found
    return AnswerView(
        time=time,
        replicas=result.replicas,
        answered=result.answered,
        missing=list(result.missing),
        since=found.since,
        found=found.found,
        pods=[_view_pod(each, name) for each in found.pods],
        namespaces=[
            NamespaceView(namespace, known.since, known.reviews, selections.get(namespace))
            for namespace, known in sorted(found.namespaces.items())
        ],
    )


def _view_pod(pod: PodRecord, name: str) -> PodView:
    is_this = pod.match.name == "POD"
    return PodView(
        namespace=pod.namespace,
        name=name if is_this and name else pod.pod,
        pod=pod.pod,
        generated=pod.generated,
        owner=pod.owner,
        policy=pod.policy,
        operation=pod.operation,
        dry=pod.dry_run,
        outcome=pod.outcome,
        reason=pod.reason,
        next=_advise(pod),
        problem=pod.problem,
        first=pod.first,
        last=pod.last,
        count=pod.count,
        match=pod.match.name.lower(),
        images=[_view_image(each) for each in pod.images],
        more=pod.total - len(pod.images),
    )


def _view_image(image: ImageRecord) -> ImageView:
    step = NEXT_STEPS.get(Outcome(image.outcome), "") if image.outcome in {*Outcome} else ""
    return ImageView(**asdict(image), next=step)


def _advise(pod: PodRecord) -> str:
    if pod.outcome == ReviewOutcome.ERROR:
        return READ_THE_LOG
    return REMOVE_OPT_OUT if OPT_OUT in pod.reason else ""
