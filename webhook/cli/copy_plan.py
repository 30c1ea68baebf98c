"""What `mirrorhook copy` has to copy, from where and to where: pure."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.core import ImageReference, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from webhook.cli.copy_engines import CopyEngine
    from webhook.core import Candidate, Decision, Platform

__all__ = [
    "NO_IMAGE",
    "CopyStatus",
    "CopyTask",
    "merge_tasks",
    "pin_tasks",
    "plan_copy",
    "render_regsync",
    "set_tags",
]

DEFAULT_TAG: Final = "latest"
# Where an image has no such name.
NO_IMAGE: Final = ImageReference("", "")


class CopyStatus(StrEnum):
    """The result for one image."""

    PLANNED = "planned"  # not copied yet
    COPIED = "copied"
    SAVED = "saved"  # to an archive
    PRESENT = "present"  # the target has it already
    SKIPPED = "skipped"  # the rules give it no mirror
    FAILED = "failed"
    STOPPED = "stopped"  # by a signal, before it was copied


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTask:
    """One image to copy.

    Attributes:
        image: The image as it was given.
        reference: The same, with a tag or a digest; `NO_IMAGE` if it is not a valid name.
        source: Its name upstream, with a tag or a digest; `NO_IMAGE` if it has no mirror.
        target: Its name on the mirror, with a tag, a digest or both until `set_tags`;
            `NO_IMAGE` if it has no mirror.
        reason: The rules that lead to the target, or why there is none.
        status: What has become of it.
        digest: Digest that the target has to have; empty if it is not known yet.
        parts: Digests of the manifests in the target's index, instead of *digest*, if it gets
            only some of the platforms of its source.
        notes: What the user might not expect.
    """

    image: str
    reference: ImageReference
    source: ImageReference
    target: ImageReference
    reason: str
    status: CopyStatus
    digest: str = ""
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def fail(self, reason: str) -> CopyTask:
        """Return the task with an error."""
        return replace(self, status=CopyStatus.FAILED, reason=reason)

    @property
    def is_planned(self) -> bool:
        """Whether it is still to be copied."""
        return self.status is CopyStatus.PLANNED


def plan_copy(decision: Decision) -> CopyTask:
    """Return the task for an image.

    Its first mirror has a copy of the name before it in the chain of rules: if Docker Hub
    has moved an image, the mirror has what it was moved to.
    """
    reference, candidate = decision.reference, decision.candidate
    if reference is None or candidate is None:
        is_wrong = decision.outcome in (Outcome.INVALID, Outcome.UNAVAILABLE)
        return CopyTask(
            image=decision.original,
            reference=_add_tag(reference) if reference else NO_IMAGE,
            source=NO_IMAGE,
            target=NO_IMAGE,
            reason=decision.reason,
            status=CopyStatus.FAILED if is_wrong else CopyStatus.SKIPPED,
        )
    return CopyTask(
        image=decision.original,
        reference=_add_tag(reference),
        source=_add_tag(_find_source(candidate, reference)),
        target=_add_tag(candidate.reference),
        reason=candidate.reason,
        status=CopyStatus.PLANNED,
    )


def _find_source(candidate: Candidate, reference: ImageReference) -> ImageReference:
    """Return the name that the last rule of a chain was applied to."""
    for rule, mirror in candidate.steps[:-1]:
        reference = rule.rewrite_reference(mirror, reference)
    return reference


def _add_tag(reference: ImageReference) -> ImageReference:
    has_one = reference.tag or reference.digest
    return reference if has_one else reference._replace(tag=DEFAULT_TAG)


def merge_tasks(tasks: Iterable[CopyTask]) -> list[CopyTask]:
    """Return the tasks with each image once, however it was written."""
    known: dict[object, CopyTask] = {}
    for task in tasks:
        has_mirror = task.target != NO_IMAGE
        key = (task.source, task.target) if has_mirror else task.image
        known.setdefault(key, task)
    return [*known.values()]


def set_tags(
    tasks: Sequence[CopyTask],
    upstream: Mapping[ImageReference, str],
    mirror: Mapping[ImageReference, str],
) -> list[CopyTask]:
    """Return the tasks with targets that have either a tag or a digest.

    An image such as ``app:1@sha256:…`` gets its tag on the mirror if upstream's tag has that
    digest, or if the mirror lacks the tag and no other image claims it. The order of the
    tasks never matters.

    Args:
        tasks: The tasks, each with its digest.
        upstream: Digest of each tag upstream that is known.
        mirror: Digest of each tag on the mirrors that is known; empty if it is missing.
    """
    groups: dict[ImageReference, list[CopyTask]] = defaultdict(list)
    for task in tasks:
        if task.is_planned and task.target.tag:
            groups[_tag_of(task.target)].append(task)
    owners = {tag: _find_owner(tag, group, upstream, mirror) for tag, group in groups.items()}
    return [_set_tag(task, owners) for task in tasks]


def _tag_of(reference: ImageReference) -> ImageReference:
    return reference._replace(digest=None)


def _contents(task: CopyTask) -> tuple[str, ...]:
    return task.parts or (task.digest,)


def _find_owner(
    tag: ImageReference,
    group: Sequence[CopyTask],
    upstream: Mapping[ImageReference, str],
    mirror: Mapping[ImageReference, str],
) -> set[tuple[str, ...]]:
    """Return what a tag of a mirror has to be: nothing, or several if it is disputed."""
    pinned = [task for task in group if task.target.digest]
    claims = {_contents(task) for task in group if task not in pinned}
    if not claims:
        claims = {
            _contents(task) for task in pinned if upstream.get(_tag_of(task.source)) == task.digest
        }
    wanted = {_contents(task) for task in pinned}
    if not claims and len(wanted) == 1 and mirror.get(tag) in ("", *next(iter(wanted))):
        claims = wanted
    return claims


def _set_tag(task: CopyTask, owners: Mapping[ImageReference, set[tuple[str, ...]]]) -> CopyTask:
    target = task.target
    if not task.is_planned or target.tag is None:
        return task
    tag = _tag_of(target)
    if owners[tag] == {_contents(task)}:
        return replace(task, target=tag)
    if target.digest is None:
        return task.fail(f"another image would get the name {tag}, too; change the rules")
    note = f"copied by its digest only: upstream, its tag {target.tag} is not this image"
    return replace(task, target=target._replace(tag=None), notes=(*task.notes, note))


def render_regsync(
    tasks: Iterable[CopyTask],
    engine: CopyEngine,
    ca_files: Mapping[str, bytes],
    platforms: Sequence[Platform],
    parallel: int,
) -> str:
    """Return a configuration of `regsync`_ that copies all images of some tasks.

    Args:
        tasks: The tasks.
        engine: An engine whose options apply.
        ca_files: Certificates to trust by registry, in PEM.
        platforms: Platforms to copy; empty for all.
        parallel: How many images are copied at once.

    .. _regsync: https://regclient.org/usage/regsync/
    """
    hosts = dict.fromkeys(engine.plain_http, "tls: disabled")
    for host, pem in ca_files.items():
        hosts[host] = f"regcert: {json.dumps(pem.decode('utf-8', 'replace'))}"
    creds = [f"  - {{registry: {json.dumps(host)}, {hosts[host]}}}" for host in sorted(hosts)]
    lines = ["version: 1"] + (["creds:", *creds] if creds else [])
    lines += ["defaults:", f"  parallel: {parallel}"]
    lines += ["  referrers: true"] if engine.referrers else []
    lines += ["  digestTags: true"] if engine.digest_tags else []
    lines += ["sync:"]
    names = json.dumps([str(each) for each in platforms])
    selected = f"platforms: {names}" if len(platforms) > 1 else f"platform: {names[1:-1]}"
    for task in tasks:
        lines += [f"  - source: {json.dumps(str(task.source))}"]
        lines += [f"    target: {json.dumps(str(task.target))}", "    type: image"]
        lines += [f"    {selected}"] if platforms and not task.source.digest else []
    return "".join(f"{line}\n" for line in lines)


def pin_tasks(tasks: Iterable[CopyTask]) -> list[CopyTask]:
    """Return the tasks as they can be planned without asking registries.

    A digest is enough to pull an image: whether its tag may be set is known to registries only.
    Different sources are taken for different images.
    """
    return set_tags([_pin_to_digest(task) for task in tasks], {}, {})


def _pin_to_digest(task: CopyTask) -> CopyTask:
    if not task.source.digest:
        return replace(task, digest=str(task.source))
    source, target = (each._replace(tag=None) for each in (task.source, task.target))
    return replace(task, source=source, target=target)
