"""
`mirrorhook doctor`, asked about a cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.release import ROOT

__all__ = ["doctored", "faults"]


def doctored(plane: ControlPlane, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """
    Run the command, and return its exit code and what it has found.
    """
    command = ["-m", "webhook", "doctor", *arguments, "--output", "json"]
    done = subprocess.run(
        [sys.executable, *command],
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
    """
    Return what is wrong, by the check: the words of it and of its mend.
    """
    code, found = doctored(plane, *arguments)
    wrong = {each["check"]: each for each in found if each["verdict"] == "wrong"}
    assert code == int(bool(wrong))
    return {check: (each["what"], each["mend"]) for check, each in wrong.items()}
