"""Flags of repimage (`readme`_), as they stand in the arguments of its Deployment.

.. _readme: https://github.com/wzshiming/repimage
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch

__all__ = ["from_repimage"]

FLAG: Final = re.compile(r"--(prefix|ignore-domains)(?:=|\s+)[\"']?([^\s\"',\]]+(?:,[^\s\"'\]]+)*)")
DEFAULT: Final = "m.daocloud.io"


def from_repimage(text: str, sketch: Sketch) -> None:
    """Sketch the rules of the flags: every registry but the ignored ones goes behind a prefix."""
    prefix, line = DEFAULT, 0
    for number, content in enumerate(text.splitlines(), 1):
        for name, value in FLAG.findall(content):
            if name == "prefix":
                prefix, line = value, number
                continue
            for domain in filter(None, value.split(",")):
                sketch.keep(number, domain)
    if not line:
        sketch.remark(0, f"no --prefix is given, so it is {DEFAULT}")
    sketch.mirror(line, "*", [prefix])
