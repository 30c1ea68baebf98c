"""What the images of one run have in common."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.transfer.client import Client
    from webhook.transfer.patience import Patience

__all__ = ["Session"]


@dataclass(frozen=True, slots=True)
class Session:
    """What the images of one run have in common.

    Attributes:
        client: Sends requests.
        patience: How long is waited.
        homes: By registry and digest, a repository that has the blob.
        locks: By registry and digest, or repository and tag, so that the same is not sent
            twice at once.
    """

    client: Client
    patience: Patience
    homes: dict[tuple[str, str], str] = field(default_factory=dict)
    locks: defaultdict[tuple[str, str], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
