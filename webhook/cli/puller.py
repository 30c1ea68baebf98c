"""Pulling images: from which source, by which engine commands, and under which names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from webhook.core import Original, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.cli.engines import Engine, ProgramRunner
    from webhook.core import Decision, ImageReference

__all__ = [
    "PullFailure",
    "PullJob",
    "PullResult",
    "PullSource",
    "Puller",
    "original_names",
    "plan_pull",
    "remove_duplicates",
]

DIGEST_ONLY: Final = (
    "there is no tag to restore, and {engine} cannot name an image by its digest, so it keeps "
    "the name {image}"
)


@dataclass(frozen=True, slots=True)
class PullSource:
    """Where an image can be pulled from.

    Attributes:
        reference: Its name there.
        is_mirror: Whether that is another name than its own.
    """

    reference: ImageReference
    is_mirror: bool

    @property
    def image(self) -> str:
        """The name to pull: by digest alone if there is one, since a digest says it all."""
        digest = self.reference.digest
        return f"{self.reference.name}@{digest}" if digest else _name_with_tag(self.reference)


@dataclass(frozen=True, slots=True)
class PullJob:
    """One image to pull.

    Attributes:
        image: The image as it was written.
        reference: Its parts; None if it is not an image name.
        sources: Where to pull it from, in this order; empty if it cannot be pulled.
        reason: Why from these sources, or why from none.
    """

    image: str
    reference: ImageReference | None
    sources: tuple[PullSource, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PullFailure:
    """A source that did not give the image.

    Attributes:
        source: The name that was to be pulled; empty if the image is not an image name.
        error: The reason, usually in the engine's own words.
    """

    source: str
    error: str

    def __str__(self) -> str:
        return f"{self.source}: {self.error}" if self.source else self.error


@dataclass(frozen=True, slots=True)
class PullResult:
    """How a job ended.

    Attributes:
        job: The job.
        source: The name that it was pulled by; None if it was not pulled.
        names: The original names that it has now; empty if it keeps its name at the mirror.
        failures: The sources that were tried before, or all of them.
        notes: What may be unexpected, a sentence each.
    """

    job: PullJob
    source: str | None = None
    names: tuple[str, ...] = ()
    failures: tuple[PullFailure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_pulled(self) -> bool:
        """Whether the engine has the image under its name."""
        return self.source is not None


def plan_pull(decision: Decision) -> PullJob:
    """Return what to pull for an image.

    Pulling shows what is available: the image's own registry has the place among the
    mirrors that the rule's ``original`` gives it. An image that no mirror can have is
    pulled from there, unless the rule forbids that.
    """
    reference, rule = decision.reference, decision.rule
    if reference is None:
        return PullJob(decision.original, None, (), decision.reason)
    mirrors = [PullSource(each.reference, is_mirror=True) for each in decision.candidates]
    own = [PullSource(reference, is_mirror=False)]
    is_mapped = decision.outcome in (Outcome.REWRITTEN, Outcome.UNAVAILABLE)
    original = rule.original if rule is not None and is_mapped else Original.LAST
    if original is Original.NEVER:
        sources = mirrors
    elif original is Original.FIRST:
        sources = own + mirrors
    else:
        sources = mirrors + own
    return PullJob(decision.original, reference, tuple(sources), decision.reason)


def remove_duplicates(jobs: Iterable[PullJob]) -> list[PullJob]:
    """Return the jobs with each image once, however it was written."""
    unique: dict[str, PullJob] = {}
    for job in jobs:
        reference = job.reference
        if reference is None:
            key = job.image
        elif reference.digest:
            key = str(reference)
        else:
            key = _name_with_tag(reference)
        unique.setdefault(key, job)
    return list(unique.values())


def original_names(engine: Engine, reference: ImageReference, brought: Iterable[str]) -> list[str]:
    """Return the names that a pull from the image's own registry would have given it.

    Args:
        engine: The engine that pulled it.
        reference: The image as it was written.
        brought: The names that the pull from the mirror gave it.
    """
    names = [] if reference.digest and not reference.tag else [_name_with_tag(reference)]
    if engine.names_digests:
        digests = {name.partition("@")[2] for name in brought} | {reference.digest}
        names += [f"{reference.name}@{digest}" for digest in sorted(filter(None, digests))]
    return names


def _name_with_tag(reference: ImageReference) -> str:
    """Return the full name with its tag; ``latest`` is the default of every engine."""
    return f"{reference.name}:{reference.tag or 'latest'}"


@dataclass(frozen=True, slots=True)
class Puller:
    """Pulls images with one engine.

    Attributes:
        engine: The engine.
        run: Runs its commands.
        platform: Pull for this one, such as ``linux/arm64``; None for the engine's own.
        keeps_mirror_names: Whether images keep their names at the mirror, too.
    """

    engine: Engine
    run: ProgramRunner
    platform: str | None = None
    keeps_mirror_names: bool = False

    def names_used(self, job: PullJob) -> frozenset[str]:
        """Return the names that a job may add and remove, which no other may use meanwhile.

        Where names with digests come and go with those with tags, it is whole repositories.
        """
        if self.engine.names_digests:
            return frozenset(source.reference.name for source in job.sources)
        return frozenset(source.image for source in job.sources)

    def pull(self, job: PullJob, on_progress: Callable[[str, str], None]) -> PullResult:
        """Pull one image from the first of its sources that has it.

        Args:
            job: The image, with its sources.
            on_progress: Called with the name that is being pulled, and each line that
                the engine writes; first with an empty one.
        """
        failures: list[PullFailure] = []
        if job.reference is None or not job.sources:
            return PullResult(job, failures=(PullFailure("", job.reason),))
        for source in job.sources:
            image = source.image
            on_progress(image, "")
            before = self._find_names(source) if source.is_mirror else frozenset()
            command = self.engine.pull(image, self.platform)
            pulled = self.run(command, partial(on_progress, image))
            if pulled.code:
                failures.append(PullFailure(image, pulled.error))
            elif source.is_mirror:
                result = self._rename(job, job.reference, source, before)
                return replace(result, failures=(*failures, *result.failures))
            else:
                return PullResult(job, image, (image,), tuple(failures))
        return PullResult(job, failures=tuple(failures))

    def _rename(
        self,
        job: PullJob,
        reference: ImageReference,
        source: PullSource,
        before: frozenset[str] | None,
    ) -> PullResult:
        """Give a pulled image its own names, and then remove those that the pull brought.

        *before* are the names that it had at the mirror before; None if they are unknown.
        """
        image = source.image
        brought = self._new_names(source, before)
        names = original_names(self.engine, reference, brought or ())
        for name in names:
            tagged = self.run(self.engine.tag(image, name), _ignore)
            if tagged.code:
                problem = f"pulled, but could not be tagged as {name}: {tagged.error}"
                return PullResult(job, failures=(PullFailure(image, problem),))
        if self.keeps_mirror_names:
            notes = []
        elif not names:
            notes = [DIGEST_ONLY.format(engine=self.engine.name, image=image)]
        else:
            notes = self._remove_names(image, brought)
        return PullResult(job, image, tuple(names), notes=tuple(notes))

    def _find_names(self, source: PullSource) -> frozenset[str] | None:
        """Return the names in a source's repository that the engine has; None if unknown.

        An engine that can be asked for one name only returns that one at most.
        """
        found = self.run(self.engine.find(source.image), _ignore)
        if self.engine.inspect_command:
            return frozenset() if found.code else frozenset({source.image})
        if found.code:
            return None
        repository = source.reference.name
        prefixes = (f"{repository}:", f"{repository}@")
        return frozenset(line for line in found.lines if line.startswith(prefixes))

    def _new_names(self, source: PullSource, before: frozenset[str] | None) -> list[str] | None:
        """Return the names that a pull from *source* brought, in order; None if unknown."""
        if before is None:
            return None
        if not self.engine.names_digests:
            return sorted({source.image} - before)
        after = self._find_names(source)
        return None if after is None else sorted(after - before)

    def _remove_names(self, image: str, brought: list[str] | None) -> list[str]:
        """Remove the names that the pull of *image* brought, and return notes."""
        if brought is None:
            return [f"{self.engine.name} could not list its images, so the name {image} is kept"]
        notes = []
        if image not in brought:
            notes.append(f"the name {image} existed before, so it is kept")
        for name in brought:
            removed = self.run(self.engine.remove(name), _ignore)
            if removed.code:
                notes.append(f"{name} could not be removed: {removed.error}")
        return notes


def _ignore(_line: str) -> None:
    """Do nothing with a line of a program."""
