"""Running the programs of an engine."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Finished", "Run", "run_program"]

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
