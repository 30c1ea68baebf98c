"""How commands ask registries: with the logins and the proxies of the person who runs them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webhook.core import Availability

__all__ = ["add_user_settings"]

HELPER_SECONDS: Final = 10.0


def add_user_settings(settings: Availability) -> Availability:
    """Return settings of a policy with the logins of Docker and the proxies of the environment.

    Proxies are used unless the policy says that they are not. The logins come after those of the
    policy.
    """
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
    return replace(
        settings,
        credentials=(*settings.credentials, *([str(file)] if _has_logins(file) else [])),
        use_proxies=settings.use_proxies is not False,
        helper_seconds=HELPER_SECONDS,
    )


def _has_logins(file: Path) -> bool:
    """Return whether a file can be used; nobody has asked for it, so it may be anything."""
    from webhook.registry.credentials import (  # noqa: PLC0415 - HTTP is not for plans
        InvalidCredentialsError,
        parse_credentials,
    )

    try:
        parse_credentials(file.read_bytes())
    except (OSError, InvalidCredentialsError):
        return False
    return True
