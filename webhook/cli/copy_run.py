"""One run of `mirrorhook copy`: ask registries, let an engine copy, and verify the result."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from webhook.cli.copy_archive import INCOMING, Archive, InvalidArchiveError, hash_manifest
from webhook.cli.copy_engines import run_engine
from webhook.cli.copy_plan import CopyStatus, set_tags
from webhook.registry import CheckStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from webhook.cli.copy_archive import ArchivedImage
    from webhook.cli.copy_engines import CopyEngine, EngineResult
    from webhook.cli.copy_plan import CopyTask
    from webhook.core import ImageReference, Platform
    from webhook.registry import CheckResult, RegistryClient

__all__ = ["CopyRun"]

QUESTIONS: Final = 16  # at once
# Where an engine may have a login or a CA that we lack.
ENGINE_ONLY: Final = (CheckStatus.UNREACHABLE, CheckStatus.TIMEOUT, CheckStatus.UNTRUSTED)


class ImageProblem(Exception):  # noqa: N818 - it is about one image
    """An image cannot be copied; the message says why."""


class UnknownHostProblem(ImageProblem):
    """An image cannot be copied because a registry does not exist: an engine would only retry."""


@dataclass(kw_only=True, slots=True)
class CopyRun:
    """Copies images; `tasks` always has the results so far.

    Attributes:
        tasks: The images.
        engine: The program that copies.
        environment: Its environment.
        client: Asks registries.
        platforms: Platforms to copy; empty for all.
        parallel: How many images are copied at once.
        report: Is called with each task that has ended.
        saving: The archive to copy to, instead of mirrors.
        loading: The archive to copy from, instead of upstream.
    """

    tasks: list[CopyTask]
    engine: CopyEngine
    environment: Mapping[str, str]
    client: RegistryClient
    platforms: tuple[Platform, ...]
    parallel: int
    report: Callable[[CopyTask], None]
    saving: Archive | None = None
    loading: Archive | None = None
    _archived: dict[ImageReference, ArchivedImage] = field(default_factory=dict)
    _upstream: dict[ImageReference, str] = field(default_factory=dict)
    _mirror: dict[ImageReference, str] = field(default_factory=dict)
    # Why we cannot ask an image or a registry ourselves.
    _reasons: dict[ImageReference, str] = field(default_factory=dict)
    _engine_only: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Copy all images.

        Raises:
            InvalidArchiveError: The archive to copy from cannot be read.
        """
        if self.loading:
            self._archived = {each.reference: each for each in self.loading.list_images()}
        for task in self.tasks:
            if not task.is_planned:
                self.report(task)
        await self._work(self._resolve, QUESTIONS)
        if not self.saving:
            before = self.tasks
            self.tasks = set_tags(before, self._upstream, self._mirror)
            for old, new in zip(before, self.tasks, strict=True):
                if old.is_planned and not new.is_planned:
                    self.report(new)
        # Engines don't share the index of an archive.
        await self._work(self._copy, 1 if self.saving else self.parallel, by_repository=True)

    async def _work(
        self,
        step: Callable[[CopyTask], Awaitable[CopyTask]],
        limit: int,
        *,
        by_repository: bool = False,
    ) -> None:
        """Take all planned tasks a step further, some at once.

        Args:
            step: Takes one of them further.
            limit: How many at once.
            by_repository: One after another within a repository of the target. Its images share
                layers, which would be uploaded twice; and registries refuse a manifest while
                another upload of its layers ends.
        """
        slots = asyncio.Semaphore(limit)
        locks: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)

        async def take(index: int) -> None:
            target = self.tasks[index].target
            lock = locks[target.registry, target.repository] if by_repository else nullcontext()
            async with lock, slots:
                task = self.tasks[index]
                try:
                    self.tasks[index] = await step(task)
                except (ImageProblem, InvalidArchiveError) as error:
                    self.tasks[index] = task.fail(str(error))
            if not self.tasks[index].is_planned:
                self.report(self.tasks[index])

        async with asyncio.TaskGroup() as group:
            for index, task in enumerate(self.tasks):
                if task.is_planned:
                    group.create_task(take(index))

    async def _resolve(self, task: CopyTask) -> CopyTask:
        """Find out which digest the target has to have, and which its tag has now."""
        if self.loading and task.reference not in self._archived:
            raise ImageProblem(f"the archive does not have {task.reference}")
        if self.loading:
            task = replace(task, digest=self._archived[task.reference].digest)
        elif task.source.digest:
            task = replace(task, digest=task.source.digest)
            if self.platforms:
                note = "copied for all its platforms: --platform cannot change what a digest names"
                task = replace(task, notes=(*task.notes, note))
        elif self.platforms:
            task = await self._select_platforms(task)
        else:
            digest = await self._find_digest(task.source)
            if not digest:
                raise ImageProblem(f"{task.source.registry} does not have {task.source}")
            task = replace(task, digest=digest)
        if task.target.tag and not self.saving:
            tag = task.target._replace(digest=None)
            self._mirror |= await self._try_tag(tag)
            if task.source.tag and task.source.digest and not self.loading:
                self._upstream |= await self._try_tag(task.source._replace(digest=None))
        return task

    async def _try_tag(self, tag: ImageReference) -> dict[ImageReference, str]:
        try:
            return {tag: await self._find_digest(tag)}
        except ImageProblem:
            return {}

    async def _select_platforms(self, task: CopyTask) -> CopyTask:
        manifest = await self._get_manifest(task.source)
        if manifest is None:
            raise ImageProblem(f"{task.source.registry} does not have {task.source}")
        entries = _list_entries(manifest)
        if not entries:  # an image for one platform
            return replace(task, digest=hash_manifest(manifest))
        found = {
            platform: next((each for other, each in entries if platform.covers(*other)), "")
            for platform in self.platforms
        }
        missing = [str(platform) for platform, digest in found.items() if not digest]
        if missing:
            others = sorted({"/".join(filter(None, other)) for other, _ in entries})
            raise ImageProblem(f"it is not for {', '.join(missing)}, only for {', '.join(others)}")
        parts = tuple(dict.fromkeys(found.values()))
        if len(parts) == 1:
            return replace(task, digest=parts[0])
        return replace(task, digest=hash_manifest(manifest), parts=parts)

    async def _copy(self, task: CopyTask) -> CopyTask:
        """Copy one image, unless the target has it already."""
        is_present = await self._is_there(task)
        if is_present and not (self.engine.referrers or self.engine.digest_tags):
            return replace(task, status=CopyStatus.PRESENT)
        result = await run_engine(self._command_for(task), self.environment)
        if result.code != 0:
            raise ImageProblem(self._explain(result, task.source, task.target))
        if self.saving:
            self.saving.adopt(task.reference)
        if not await self._is_there(task):
            place = self.saving.folder if self.saving else task.target
            raise ImageProblem(
                f"{self.engine.name} reported success, but {place} does not have "
                f"{' and '.join(task.parts) or task.digest}"
            )
        done = CopyStatus.SAVED if self.saving else CopyStatus.COPIED
        return replace(task, status=CopyStatus.PRESENT if is_present else done)

    def _command_for(self, task: CopyTask) -> list[str]:
        engine = self.engine
        source = engine.locate(task.source._replace(tag=None, digest=task.digest))
        target = engine.locate(task.target)
        if self.saving:
            target = engine.locate_archived(self.saving.folder, INCOMING)
        if self.loading:
            image = self._archived[task.reference]
            source = engine.locate_archived(self.loading.folder, image.tag, image.digest)
        return engine.copy(source, target, self.platforms if task.parts else ())

    async def _is_there(self, task: CopyTask) -> bool:
        """Return whether the target answers with what it has to have."""
        if self.saving:
            return self.saving.has(task.reference, task.digest)
        if task.parts:
            manifest = await self._get_manifest(task.target)
            return {digest for _, digest in _list_entries(manifest or b"")} == {*task.parts}
        try:
            return await self._find_digest(task.target) == task.digest
        except UnknownHostProblem:
            raise
        except ImageProblem:
            return False

    async def _find_digest(self, reference: ImageReference) -> str:
        """Return the digest of an image; empty if it does not exist."""
        if reference.registry not in self._engine_only:
            result = await self.client.check_image(reference)
            if result.status is CheckStatus.ABSENT or (result.is_present and result.digest):
                return result.digest
            self._note_failure(reference, result)
        manifest = await self._ask_engine(reference)
        return "" if manifest is None else hash_manifest(manifest)

    async def _get_manifest(self, reference: ImageReference) -> bytes | None:
        if reference.registry not in self._engine_only:
            result, manifest = await self.client.get_manifest(reference)
            if result.is_present:
                return manifest
            if result.status is CheckStatus.ABSENT:
                return None
            self._note_failure(reference, result)
        return await self._ask_engine(reference)

    def _note_failure(self, reference: ImageReference, result: CheckResult) -> None:
        reason = f"{reference.registry} {result.reason}"
        if result.status is CheckStatus.UNKNOWN_HOST:
            raise UnknownHostProblem(reason)
        self._reasons[reference] = reason
        if result.status in ENGINE_ONLY:
            self._engine_only[reference.registry] = reason

    def _explain(self, result: EngineResult, *references: ImageReference) -> str:
        """Return why an engine failed: what we found out, and its own words."""
        reasons = [
            self._engine_only.get(each.registry) or self._reasons.get(each, "")
            for each in references
        ]
        error = f"{self.engine.name}: {result.error or f'exit {result.code}'}"
        return "; ".join([*dict.fromkeys(filter(None, reasons)), error])

    async def _ask_engine(self, reference: ImageReference) -> bytes | None:
        """Return a manifest, by way of the logins, proxies and CAs of the engine."""
        result = await run_engine(self.engine.show_manifest(reference), self.environment)
        if result.is_missing:
            return None
        if result.code != 0:
            raise ImageProblem(self._explain(result, reference))
        return result.output


def _list_entries(manifest: bytes) -> list[tuple[tuple[str, str, str], str]]:
    """Return the platforms of an index, each with the digest of its manifest."""
    try:
        entries = json.loads(manifest or b"{}").get("manifests") or ()
        platforms = [(each.get("platform") or {}, str(each["digest"])) for each in entries]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    return [
        (tuple(str(platform.get(key, "")) for key in ("os", "architecture", "variant")), digest)  # type: ignore[misc]
        for platform, digest in platforms
    ]
