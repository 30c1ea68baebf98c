"""A pseudo-terminal for a process."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import termios
from contextlib import contextmanager
from fcntl import ioctl

__all__ = ["Terminal", "run_in_terminal", "terminal"]

LINES = 40


class Terminal:
    """Both ends of a pseudo-terminal.

    Attributes:
        end: File descriptor of the end for the process.
    """

    def __init__(self, columns: int) -> None:
        self._ours, self.end = pty.openpty()
        ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))

    def written(self, reply: tuple[bytes, bytes] | None = None) -> bytes:
        """Return the output until the process ends.

        Args:
            reply: A text to wait for, and the input to send after it.
        """
        self._release()
        text = b""
        try:
            while chunk := os.read(self._ours, 65536):
                text += chunk
                if reply and reply[0] in text:
                    os.write(self._ours, reply[1])
                    reply = None
        except OSError:  # the other end is closed
            pass
        return text

    def close(self) -> None:
        """Close both ends."""
        self._release()
        os.close(self._ours)

    def _release(self) -> None:
        if self.end >= 0:
            os.close(self.end)
            self.end = -1


@contextmanager
def terminal(columns: int = 100):
    """Open a terminal with a number of columns until the end of the block."""
    opened = Terminal(columns)
    try:
        yield opened
    finally:
        opened.close()


def run_in_terminal(command: list[str]) -> tuple[bytes, bytes]:
    """Run a command with a terminal as standard error.

    Returns:
        Its output on the terminal, and on standard output.
    """
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    with (
        terminal() as screen,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=screen.end, env=environment
        ) as process,
    ):
        written = screen.written()
        output, _ = process.communicate()
    return written, output
