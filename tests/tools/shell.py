"""Commands of the documentation, typed as a reader would."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SECONDS = 400  # longer than a command waits itself


def run_command(
    command: str,
    *,
    folder: Path,
    environment: Mapping[str, str],
    inside: Sequence[str | Path] = (),
) -> str:
    """Run a command in a shell, and return what it writes to standard output.

    Args:
        command: The command, as it is typed.
        folder: The working directory.
        environment: All of its variables.
        inside: Command prefix that runs a command elsewhere, such as in other namespaces.
    """
    done = subprocess.run(
        [*inside, "bash", "-o", "pipefail", "-c", f"cd {folder}\n{command}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
