"""Container engines: their commands to pull, tag and remove an image, and how to run them.

The commands are those of the programs' own references: `docker`_, `podman`_, `nerdctl`_,
`crictl`_ and `ctr`_. Images are always named in full, as ``docker.io/library/nginx:1``:
every engine understands that, podman then does not ask which registry is meant, and
containerd knows no other names.

.. _docker: https://docs.docker.com/reference/cli/docker/image/
.. _podman: https://docs.podman.io/en/latest/Commands.html
.. _nerdctl: https://github.com/containerd/nerdctl/blob/main/docs/command-reference.md
.. _crictl: https://github.com/kubernetes-sigs/cri-tools/blob/master/docs/crictl.md
.. _ctr: https://github.com/containerd/containerd/blob/main/docs/getting-started.md
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from types import MappingProxyType
from typing import Final, TypeAlias

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "MissingEngineError",
    "ProgramResult",
    "ProgramRunner",
    "Programs",
    "find_engine",
]

AUTO: Final = "auto"
# Seconds that an engine gets to end by itself.
GRACE: Final = 5.0
CANNOT_RUN: Final = 126  # as in a shell (POSIX, 2.8.2 Exit Status for Commands)
# How programs with the logrus library write a message where there is no terminal; and
# other prefixes of messages that carry no information.
LOGGED: Final = re.compile(r'time="[^"]*" level=\w+ msg="((?:[^"\\]|\\.)*)"')
PREFIX: Final = re.compile(r"(?:(?:FATA|ERRO|WARN)\[\d+\]|Error:)\s+")

Words: TypeAlias = tuple[str, ...]


class MissingEngineError(Exception):
    """A program that an engine needs is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine: its commands, to which the names of images are added.

    Attributes:
        name: What ``--engine`` calls it.
        programs: The programs that have to be on the path.
        advice: What to install, as the end of a sentence.
        pull_command: Pulls an image.
        tag_command: Gives an image another name.
        remove_command: Removes a name of an image.
        inspect_command: Ends with 0 if an image of this name exists, and else with
            another code; empty if *list_command* is used instead.
        list_command: Writes the names of all images, one per line.
        takes_platform: Whether it can pull for another platform than its own.
        takes_namespace: Whether it keeps images apart by namespaces of containerd.
        names_digests: Whether a name with a digest is a name like any other: it can be
            given to an image, and a pull by tag adds one beside the tag.
    """

    name: str
    programs: Words
    advice: str
    pull_command: Words
    tag_command: Words
    remove_command: Words
    inspect_command: Words = ()
    list_command: Words = ()
    takes_platform: bool = True
    takes_namespace: bool = False
    names_digests: bool = False

    def pull(self, image: str, platform: str | None = None) -> Words:
        """Return the command that pulls an image, for a *platform* such as ``linux/arm64``."""
        options = () if platform is None else (f"--platform={platform}",)
        return (*self.pull_command, *options, image)

    def tag(self, image: str, name: str) -> Words:
        """Return the command that gives *image* the *name* too, even if another image has it."""
        return (*self.tag_command, image, name)

    def remove(self, name: str) -> Words:
        """Return the command that removes a name from its image."""
        return (*self.remove_command, name)

    def find(self, image: str) -> Words:
        """Return the command that finds out whether an image of this name exists."""
        return (*self.inspect_command, image) if self.inspect_command else self.list_command

    def in_namespace(self, namespace: str) -> Engine:
        """Return this engine for the images of one namespace of containerd."""

        def insert_option(words: Words) -> Words:
            return (words[0], f"--namespace={namespace}", *words[1:])

        return replace(
            self,
            pull_command=insert_option(self.pull_command),
            tag_command=insert_option(self.tag_command),
            remove_command=insert_option(self.remove_command),
            list_command=insert_option(self.list_command),
        )


CTR: Final = ("ctr", "--namespace=k8s.io", "images")

# In the order in which they are looked for.
ENGINES: Final = MappingProxyType(
    {
        engine.name: engine
        for engine in (
            Engine(
                name="docker",
                programs=("docker",),
                advice="install Docker Engine (package docker.io on Debian)",
                pull_command=("docker", "pull"),
                tag_command=("docker", "tag"),
                remove_command=("docker", "rmi"),
                inspect_command=("docker", "image", "inspect", "--format={{.Id}}"),
            ),
            Engine(
                name="nerdctl",
                programs=("nerdctl",),
                advice="install nerdctl from the containerd project",
                pull_command=("nerdctl", "pull"),
                tag_command=("nerdctl", "tag"),
                remove_command=("nerdctl", "rmi"),
                # `nerdctl image inspect` ends with 0 for an image that does not exist.
                list_command=("nerdctl", "images", "--format={{.Name}}"),
                takes_namespace=True,
            ),
            Engine(
                name="podman",
                programs=("podman",),
                advice="install podman (package podman on Debian)",
                pull_command=("podman", "pull"),
                tag_command=("podman", "tag"),
                remove_command=("podman", "rmi"),
                # `podman image exists` does not distinguish names with the same digest.
                list_command=(
                    "podman",
                    "images",
                    "--format={{range .Names}}{{println .}}{{end}}",
                ),
            ),
            Engine(
                name="crictl",
                programs=("crictl", "ctr"),
                advice=(
                    "install crictl from cri-tools, and ctr, which comes with containerd; on a "
                    "node with CRI-O use --engine podman, which sees the same images"
                ),
                # crictl pulls as the kubelet does, and cannot tag.
                pull_command=("crictl", "pull"),
                tag_command=(*CTR, "tag", "--force"),
                remove_command=(*CTR, "rm"),
                list_command=(*CTR, "ls", "--quiet"),
                takes_platform=False,
                names_digests=True,
            ),
        )
    }
)


def find_engine(name: str, which: Callable[[str], str | None]) -> Engine:
    """Return the engine that ``--engine`` names.

    Args:
        name: A key of `ENGINES`, or `AUTO` for the first whose programs are installed.
        which: Returns the path of a program, or None, as `shutil.which` does.

    Raises:
        MissingEngineError: A program that it needs is not on the PATH.
    """
    if name == AUTO:
        for engine in ENGINES.values():
            if all(map(which, engine.programs)):
                return engine
        raise MissingEngineError(
            "no container engine on the PATH: install docker, podman or nerdctl, or crictl and ctr"
        )
    engine = ENGINES[name]
    missing = [program for program in engine.programs if not which(program)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        problem = f"{' and '.join(missing)} {verb} not on the PATH: {engine.advice}"
        raise MissingEngineError(problem)
    return engine


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended.

    Attributes:
        code: Its exit code; the negative number of the signal that ended it.
        lines: What it wrote, to standard output or standard error, without white space
            around each line.
    """

    code: int
    lines: tuple[str, ...] = ()

    @property
    def error(self) -> str:
        """The last line that it wrote, or how it ended if it wrote nothing."""
        for line in reversed(self.lines):
            if line:
                return line
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        return f"ended with exit code {self.code}"


# Runs a command, and calls a function with each line that it writes.
ProgramRunner: TypeAlias = Callable[[Sequence[str], Callable[[str], None]], ProgramResult]


class Programs:
    """Runs programs, in any thread, and ends those that still run when they are not needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_stopped = False

    def run(self, command: Sequence[str], on_line: Callable[[str], None]) -> ProgramResult:
        """Run a command without a terminal and without standard input, and wait for its end.

        Args:
            command: The program and its arguments.
            on_line: Called with each line as soon as the program has written it.
        """
        with self._lock:
            if self._is_stopped:
                return ProgramResult(CANNOT_RUN, ("interrupted",))
            try:
                process = _start(command)
            except OSError as error:
                problem = f"{command[0]} cannot be run: {error.strerror}"
                return ProgramResult(CANNOT_RUN, (problem,))
            self._running.add(process)
        lines: list[str] = []
        try:
            for line in process.stdout or ():
                lines.append(_message(line.strip()))
                on_line(lines[-1])
            return ProgramResult(process.wait(), tuple(lines))
        finally:
            with process:
                _terminate([process])
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End all programs, and start no more."""
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        _terminate(running)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - words of an engine and a parsed image
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def _message(line: str) -> str:
    """Return the message in a line of a program, without the fields of a log around it."""
    logged = LOGGED.match(line)
    if logged:
        return re.sub(r"\\(.)", r"\1", logged[1])
    prefix = PREFIX.match(line)
    return line[prefix.end() :] if prefix else line


def _terminate(processes: Sequence[subprocess.Popen[str]], grace: float = GRACE) -> None:
    """End processes that are still running: by SIGTERM, and after *grace* seconds by SIGKILL."""
    deadline = time.monotonic() + grace
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
