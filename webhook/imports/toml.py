"""TOML, and the lines in which its tables stand."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from webhook.imports.sketch import UnreadableFileError

__all__ = ["headers", "parsed"]


def parsed(text: str) -> dict[str, Any]:
    """Return the content of a TOML text.

    Raises:
        UnreadableFileError: It is none; a key that stands there twice makes it none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFileError(f"it is not TOML: {error}") from None


def headers(text: str, start: str) -> list[int]:
    """Return the lines of the tables whose header begins with *start*, brackets included."""
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.sub(r"\s", "", line).startswith(start)
    ]
