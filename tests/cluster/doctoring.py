"""Runs `mirrorhook doctor` on a cluster."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.release import ROOT
from tests.tools.helm import helm4

__all__ = ["doctored", "faults", "run_fix"]


def doctored(
    plane: ControlPlane, *arguments: str, program: tuple[str, ...] = ("-m", "webhook")
) -> tuple[int, list[dict[str, Any]]]:
    """Run the command and return its exit code and its results.

    Args:
        plane: The cluster.
        arguments: Arguments of the command.
        program: Arguments of Python that run it.
    """
    done = subprocess.run(
        [sys.executable, *program, "doctor", *arguments, "--output", "json"],
        env=plane.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def faults(plane: ControlPlane, *arguments: str) -> dict[str, tuple[str, str]]:
    """Return the problem and the fix of each failed check."""
    code, found = doctored(plane, *arguments)
    wrong = {each["check"]: each for each in found if each["status"] == "wrong"}
    assert code == int(any(each["status"] != "ok" for each in found))
    return {check: (each["message"], each["fix"]) for check, each in wrong.items()}


def run_fix(plane: ControlPlane, command: str) -> None:
    """Run the command of a fix."""
    program, *arguments = shlex.split(command.replace("charts/", f"{ROOT}/charts/"))
    if program == "kubectl":
        plane.kubectl(*arguments)
    else:
        plane.run(helm4(), *arguments)
