"""Strikes a running webhook with faults while Pods are created on a real API server.

python -m tests.chaos [WORD…]: only faults with one of these words in their name
"""

from __future__ import annotations

import os
import sys
import time

import httpx

from tests.chaos.faults import FAULTS, Fault, MissedError
from tests.chaos.load import offered
from tests.chaos.site import IMAGE, Site, site
from tests.cluster.packages import missing
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError
from webhook.cli.output import show_table, show_text

COLUMNS = ("FAULT", "OFFERED", "ADMITTED", "REWRITTEN", "FAILED", "UNCHANGED AT MOST")
BEFORE, AFTER = 1.0, 1.5


def suffer(here: Site, fault: Fault) -> tuple[tuple[str, ...], list[str]]:
    """Strike while Pods are created, and return the row of the table and all problems."""
    problems = []
    with fault.around(here), offered(here.world, here.space, IMAGE) as load:
        time.sleep(BEFORE)
        try:
            fault.strike(here)
        except MissedError as error:
            problems.append(f"had no effect: {error}")
        except (AssertionError, httpx.TransportError) as error:
            problems.append(f"was not undone: {error!r}")
        time.sleep(AFTER)
    try:
        here.heal()
    except (RuntimeError, TimeoutError, httpx.TransportError) as error:
        problems.append(f"does not recover: {error}")
    counts = load.counts
    unchanged = counts["admitted"] - counts["rewritten"]
    if counts["failed"]:
        problems.append(f"{counts['failed']} Pods failed, such as: {load.errors[0]}")
    if fault.unchanged is not None and unchanged > fault.unchanged:
        problems.append(f"{unchanged} Pods are unchanged")
    numbers = [counts[key] for key in ("offered", "admitted", "rewritten", "failed")]
    row = (
        fault.name,
        *map(str, numbers),
        "any" if fault.unchanged is None else str(fault.unchanged),
    )
    return row, [f"{fault.name}: {problem}" for problem in problems]


def main() -> None:
    """Strike with each fault, and show the table and what went wrong."""
    if os.geteuid() != 0:
        sys.exit("a control plane that listens on port 443 needs root")
    lacking = {"faketime", "openssl", "util-linux"} & set(missing())
    if lacking:
        sys.exit(f"first: apt-get install {' '.join(sorted(lacking))}")
    words = sys.argv[1:]
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    rows, problems = [], []
    try:
        with site() as here:
            for fault in chosen:
                row, found = suffer(here, fault)
                rows.append(row)
                problems += found
                print(*row, *found, sep="  ", file=sys.stderr, flush=True)
    except (GoMissingError, HelmMissingError) as error:
        sys.exit(str(error))
    show_text("Faults while Pods are created, with two replicas and failurePolicy: Ignore")
    show_table(COLUMNS, rows)
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
