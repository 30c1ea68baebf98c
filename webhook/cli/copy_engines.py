"""The programs that copy images for `mirrorhook copy`: regctl, skopeo and crane."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from webhook.cli.options import SetupError
from webhook.core.reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from webhook.core import ImageReference, Platform

__all__ = [
    "COPY_ENGINES",
    "CopyEngine",
    "EngineResult",
    "find_copy_engine",
    "run_engine",
]

STOP_SECONDS: Final = 5.0
EXIT_NOT_RUN: Final = 127  # as a shell has it
ONE_PLATFORM: Final = "an archive takes one --platform, or all of them without the option"
# How the three say that an image or its repository does not exist.
MISSING: Final = re.compile(
    r"\b404\b|not found|(?:manifest|name|repository)[ _]unknown", re.IGNORECASE
)
TIMESTAMP: Final = re.compile(r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |time=\S+ )")


class EngineResult(NamedTuple):
    """How a program ended.

    Attributes:
        code: Its exit code.
        output: Its standard output.
        error: The last line of its standard error.
    """

    code: int
    output: bytes
    error: str

    @property
    def is_missing(self) -> bool:
        """Whether it failed because the image does not exist."""
        return self.code != 0 and MISSING.search(self.error) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEngine(ABC):
    """A program that copies images; its methods return commands.

    Args:
        program: Path of the program.
        plain_http: Registries without TLS.
        referrers: Whether to copy referrers, too.
        digest_tags: Whether to copy tags such as ``sha256-….sig``, too.
    """

    name: ClassVar[str]
    program: str
    plain_http: frozenset[str] = frozenset()
    referrers: bool = False
    digest_tags: bool = False

    @abstractmethod
    def show_manifest(self, reference: ImageReference) -> list[str]:
        """Write the manifest of an image to standard output, as the registry has it."""

    @abstractmethod
    def copy(self, source: str, target: str, platforms: Sequence[Platform] = ()) -> list[str]:
        """Copy an image with all its platforms, or several of them in a new index."""

    def locate(self, reference: ImageReference) -> str:
        """Return how `copy` names an image at a registry."""
        return str(reference)

    def locate_archived(self, folder: Path, tag: str, digest: str = "") -> str:
        """Return how `copy` names an image in an OCI image layout.

        Args:
            folder: The layout.
            tag: What its index calls the image.
            digest: Digest of the image, if it is there already.

        Raises:
            ValueError: The engine cannot copy archives; `find_gap` says so before.
        """
        wanted = f"{tag}@{digest}" if digest else tag
        problem = f"{self.name} cannot copy {wanted} from or to {folder}; use --engine regctl"
        raise ValueError(problem)

    def find_gap(self, *, platforms: int, is_archive: bool) -> str:
        """Return what this engine cannot do, and which one can; empty if it can do all.

        Args:
            platforms: How many platforms are selected.
            is_archive: Whether images are copied to or from an archive.
        """
        if is_archive and platforms > 1:
            return ONE_PLATFORM
        needs = {
            "--referrers": self.referrers,
            "--digest-tags": self.digest_tags,
            "several --platform": platforms > 1,
        }
        missing = [option for option, is_needed in needs.items() if is_needed]
        return f"{self.name} cannot do {missing[0]}; use --engine regctl" if missing else ""


class _Regctl(CopyEngine):
    __slots__ = ()
    name = "regctl"

    def _start(self) -> list[str]:
        hosts = [f"--host=reg={host},tls=disabled" for host in sorted(self.plain_http)]
        return [self.program, *hosts]

    def show_manifest(self, reference: ImageReference) -> list[str]:
        return [*self._start(), "manifest", "get", "--format=raw-body", str(reference)]

    def copy(self, source: str, target: str, platforms: Sequence[Platform] = ()) -> list[str]:
        more = ["--referrers"] * self.referrers + ["--digest-tags"] * self.digest_tags
        if not platforms:
            return [*self._start(), "image", "copy", *more, source, target]
        more += [f"--platform={platform}" for platform in platforms]
        return [*self._start(), "index", "create", *more, f"--ref={source}", target]

    def locate_archived(self, folder: Path, tag: str, digest: str = "") -> str:
        return f"ocidir://{folder}@{digest}" if digest else f"ocidir://{folder}:{tag}"

    def find_gap(self, *, platforms: int, is_archive: bool) -> str:
        return ONE_PLATFORM if is_archive and platforms > 1 else ""


class _Skopeo(CopyEngine):
    __slots__ = ()
    name = "skopeo"

    def _tls(self, place: str, side: str) -> list[str]:
        registry = place.removeprefix("docker://").partition("/")[0]
        return [f"--{side}tls-verify=false"] if registry in self.plain_http else []

    def show_manifest(self, reference: ImageReference) -> list[str]:
        place = self.locate(reference)
        return [self.program, "inspect", "--raw", *self._tls(place, ""), place]

    def copy(self, source: str, target: str, platforms: Sequence[Platform] = ()) -> list[str]:
        assert not platforms, "see find_gap"  # noqa: S101
        flags = ["--all", "--preserve-digests", "--retry-times=3"]
        flags += self._tls(source, "src-") + self._tls(target, "dest-")
        return [self.program, "copy", *flags, source, target]

    def locate(self, reference: ImageReference) -> str:
        return f"docker://{reference}"

    def locate_archived(self, folder: Path, tag: str, digest: str = "") -> str:
        del digest  # it knows tags only
        return f"oci:{folder}:{tag}"


class _Crane(CopyEngine):
    __slots__ = ()
    name = "crane"

    def show_manifest(self, reference: ImageReference) -> list[str]:
        return [self.program, "manifest", str(reference)]

    def copy(self, source: str, target: str, platforms: Sequence[Platform] = ()) -> list[str]:
        assert not platforms, "see find_gap"  # noqa: S101
        return [self.program, "copy", source, target]

    def find_gap(self, *, platforms: int, is_archive: bool) -> str:
        if is_archive:
            can = "use --engine regctl or --engine skopeo"
            return f"crane cannot keep several images in one archive; {can}"
        # Its --insecure would also trust every certificate of the other registry.
        if not all(map(is_loopback, self.plain_http)):
            return "crane cannot do plain HTTP for one registry only; use --engine regctl"
        return super().find_gap(platforms=platforms, is_archive=is_archive)


# In the order of preference.
COPY_ENGINES: Final[Mapping[str, type[CopyEngine]]] = {
    each.name: each for each in (_Regctl, _Skopeo, _Crane)
}


def find_copy_engine(name: str | None) -> tuple[type[CopyEngine], str]:
    """Return an engine, and the path of its program.

    Args:
        name: The engine; None for the first that is installed.

    Raises:
        SetupError: It is not installed.
    """
    for each in [name] if name else COPY_ENGINES:
        program = shutil.which(each)
        if program:
            return COPY_ENGINES[each], program
    names = name or ", ".join(COPY_ENGINES)
    raise SetupError(f"not found on the PATH: {names}; install one of {', '.join(COPY_ENGINES)}")


async def run_engine(command: Sequence[str], environment: Mapping[str, str]) -> EngineResult:
    """Run a program to its end; if this is cancelled, the program is stopped first."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            # Ctrl-C is for us: it is passed on below.
            start_new_session=True,
        )
    )
    try:
        output, errors = await (await asyncio.shield(starting)).communicate()
    except asyncio.CancelledError:
        await _stop(await starting)
        raise
    except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
        reason = getattr(error, "strerror", None) or str(error)
        return EngineResult(EXIT_NOT_RUN, b"", f"cannot be run: {reason}")
    process = starting.result()
    lines = errors.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return EngineResult(process.returncode or 0, output, TIMESTAMP.sub("", last))


async def _stop(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
            return
