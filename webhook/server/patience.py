"""How long the API server waits for an answer."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["patience"]

# The API server sends what is left of its deadline, as a duration of Go that is
# rounded up to a second (k8s.io/apiserver, pkg/util/webhook).
TIMEOUT: Final = re.compile(rb"(?:^|&)timeout=((?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+)(?:&|$)")
PART: Final = re.compile(rb"(\d+(?:\.\d+)?)(ms|s|m|h)")
UNITS: Final = {b"ms": 0.001, b"s": 1.0, b"m": 60.0, b"h": 3600.0}
# For the way here and back, and for the rounding.
MARGIN: Final = 0.5


def patience(query: bytes) -> float:
    """Return for how many seconds the API server can be kept waiting.

    Args:
        query: The query of the URL that it called. Without a timeout in it there is no
            bound from here.
    """
    found = TIMEOUT.search(query)
    if found is None:
        return math.inf
    parts = PART.findall(found[1])
    return max(0.0, sum(float(number) * UNITS[unit] for number, unit in parts) - MARGIN)
