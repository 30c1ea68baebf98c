"""Container engines, and how each is told to pull, tag and remove an image.

The words are those of the programs' own references: `docker`_, `podman`_, `nerdctl`_,
`crictl`_ and `ctr`_. Images are always named in full, as ``docker.io/library/nginx:1``:
every engine understands that, podman then does not ask which registry is meant, and for
containerd it is the only name there is.

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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "Finished",
    "MissingEngineError",
    "Run",
    "find_engine",
    "run_program",
]

AUTO: Final = "auto"

Words = tuple[str, ...]


class MissingEngineError(Exception):
    """A program that an engine needs is not there; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine: the words of its commands, to which the names of images are added.

    Attributes:
        name: What ``--engine`` calls it.
        programs: The programs that have to be on the path.
        advice: What to install, as the end of a sentence.
        pulling: Pulls an image.
        tagging: Gives an image another name.
        removing: Takes a name off an image.
        finding: Ends with 0 if there is an image of this name, and else with another
            code; empty if *listing* says it.
        listing: Writes the names of all images, one a line.
        takes_platform: Whether it can pull for another platform than its own.
        takes_namespace: Whether it keeps images apart by namespaces of containerd.
        names_digests: Whether a name with a digest is a name as any other: it can be
            given to an image, and a pull by tag brings one beside the tag.
    """

    name: str
    programs: Words
    advice: str
    pulling: Words
    tagging: Words
    removing: Words
    finding: Words = ()
    listing: Words = ()
    takes_platform: bool = True
    takes_namespace: bool = False
    names_digests: bool = False

    def pull(self, image: str, platform: str | None = None) -> Words:
        """Return the command that pulls an image, for a *platform* as ``linux/arm64``."""
        options = () if platform is None else (f"--platform={platform}",)
        return (*self.pulling, *options, image)

    def tag(self, image: str, name: str) -> Words:
        """Return the command that gives *image* the *name* too, even if another has it."""
        return (*self.tagging, image, name)

    def remove(self, name: str) -> Words:
        """Return the command that takes a name off its image."""
        return (*self.removing, name)

    def find(self, image: str) -> Words:
        """Return the command that tells whether there is an image of this name."""
        return (*self.finding, image) if self.finding else self.listing

    def in_namespace(self, namespace: str) -> Engine:
        """Return this engine for the images of one namespace of containerd."""

        def within(words: Words) -> Words:
            return (words[0], f"--namespace={namespace}", *words[1:])

        return replace(
            self,
            pulling=within(self.pulling),
            tagging=within(self.tagging),
            removing=within(self.removing),
            listing=within(self.listing),
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
                advice="install Docker Engine, on Debian the package docker.io",
                pulling=("docker", "pull"),
                tagging=("docker", "tag"),
                removing=("docker", "rmi"),
                finding=("docker", "image", "inspect", "--format={{.Id}}"),
            ),
            Engine(
                name="nerdctl",
                programs=("nerdctl",),
                advice="install nerdctl, of the containerd project",
                pulling=("nerdctl", "pull"),
                tagging=("nerdctl", "tag"),
                removing=("nerdctl", "rmi"),
                # `nerdctl image inspect` ends with 0 for an image that is not there.
                listing=("nerdctl", "images", "--format={{.Name}}"),
                takes_namespace=True,
            ),
            Engine(
                name="podman",
                programs=("podman",),
                advice="install podman, on Debian the package podman",
                pulling=("podman", "pull"),
                tagging=("podman", "tag"),
                removing=("podman", "rmi"),
                # To `podman image exists` all names with one digest are the same.
                listing=(
                    "podman",
                    "images",
                    "--format={{range .Names}}{{println .}}{{end}}",
                ),
            ),
            Engine(
                name="crictl",
                programs=("crictl", "ctr"),
                advice=(
                    "install crictl, of cri-tools, and ctr, which comes with containerd; "
                    "on a node with CRI-O take --engine podman, which has the same images"
                ),
                # crictl can pull as the kubelet does, and has no word for naming.
                pulling=("crictl", "pull"),
                tagging=(*CTR, "tag", "--force"),
                removing=(*CTR, "rm"),
                listing=(*CTR, "ls", "--quiet"),
                takes_platform=False,
                names_digests=True,
            ),
        )
    }
)


def find_engine(name: str, which: Callable[[str], str | None]) -> Engine:
    """Return the engine that ``--engine`` asks for.

    Args:
        name: A key of `ENGINES`, or `AUTO` for the first that is there.
        which: Returns where a program is, and None if it is not there.

    Raises:
        MissingEngineError: A program that it needs is not there.
    """
    if name == AUTO:
        for engine in ENGINES.values():
            if all(map(which, engine.programs)):
                return engine
        raise MissingEngineError(
            "there is no container engine on the PATH: install docker, podman or nerdctl, "
            "or crictl and ctr"
        )
    engine = ENGINES[name]
    missing = [program for program in engine.programs if not which(program)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        problem = f"{' and '.join(missing)} {verb} not on the PATH: {engine.advice}"
        raise MissingEngineError(problem)
    return engine


# How long an engine may take to end when it is told to, in seconds.
GRACE: Final = 5.0

CANNOT_RUN: Final = 126  # as a shell has it (POSIX, 2.8.2 Exit Status for Commands)

# How programs with the logrus library write a message where there is no terminal; and
# what else stands before a message and says nothing.
LOGGED: Final = re.compile(r'time="[^"]*" level=\w+ msg="((?:[^"\\]|\\.)*)"')

PREFIX: Final = re.compile(r"(?:(?:FATA|ERRO|WARN)\[\d+\]|Error:)\s+")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended.

    Attributes:
        code: Its exit code; the negative number of the signal that ended it.
        lines: What it wrote, to standard output or standard error, without white space
            around it.
    """

    code: int
    lines: tuple[str, ...] = ()

    @property
    def error(self) -> str:
        """The last that it said, or in what way it ended without a word."""
        for line in reversed(self.lines):
            if line:
                return line
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        return f"ended with exit code {self.code}"


class CannotRunError(Exception):
    """A program that cannot be started."""


class Run(Protocol):
    """What runs a command to its end."""

    def __call__(self, command: Sequence[str], heard: Callable[[str], None], /) -> Finished:
        """Run *command*, and tell each line that it writes to *heard* at once."""
        ...


def run_program(command: Sequence[str], heard: Callable[[str], None], /) -> Finished:
    """Run a command without a terminal and without standard input, and wait for its end.

    Whatever breaks off the waiting, Ctrl-C too, ends the program first. It is for the
    main thread, which is where signals arrive.

    Args:
        command: The program and its arguments.
        heard: Is told each line that the program writes, when it does.
    """
    lines: list[str] = []
    process = None
    try:
        with held_back(signal.SIGINT, signal.SIGTERM):
            process = start(command)
        for line in process.stdout or ():
            lines.append(message(line.strip()))
            heard(lines[-1])
        return Finished(process.wait(), tuple(lines))
    except CannotRunError as error:
        return Finished(CANNOT_RUN, (str(error),))
    finally:
        if process is not None:
            with process:
                end(process)


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program with one pipe for all that it writes.

    Raises:
        CannotRunError: The operating system refuses.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - words of an engine and a parsed image
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        problem = f"{command[0]} cannot be run: {error.strerror}"
        raise CannotRunError(problem) from None


@contextmanager
def held_back(*numbers: int) -> Iterator[None]:
    """Let signals take effect at the end of the block only, so that it is done whole.

    Without it a program might be running already, and nobody know it yet.
    """
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in numbers
        # The program ignores what is ignored here.
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def message(line: str) -> str:
    """Return what a line of a program says, without the clothes of a log."""
    logged = LOGGED.match(line)
    if logged:
        return re.sub(r"\\(.)", r"\1", logged[1])
    prefix = PREFIX.match(line)
    return line[prefix.end() :] if prefix else line


def end(process: subprocess.Popen[str], grace: float = GRACE) -> None:
    """End a process, if it has not: by request, and after *grace* seconds by force."""
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    finally:
        process.kill()
