"""Run one target under libFuzzer, in a process of its own: ``python -m tests.fuzz.worker``.

The first argument is the target, the others are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    with atheris.instrument_imports(include=["webhook"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented while imported

    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
