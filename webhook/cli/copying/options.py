"""The options of `mirrorhook copy` that say how registries are reached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.core import Availability, InvalidRuleError, Platform, parse_platform
from webhook.core.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["platform_values", "reaching", "registry_options"]

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
OPTIONS: Final = (
    click.option(
        "--credentials",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Logins, as in ~/.docker/config.json, beside those that the rules file names; "
        "may be repeated.",
    ),
    click.option(
        "--ca",
        "authorities",
        multiple=True,
        metavar="REGISTRY=FILE",
        help="CA file to trust for a registry; may be repeated.",
    ),
    click.option(
        "--plain-http",
        multiple=True,
        metavar="REGISTRY",
        help="Registry without TLS; may be repeated.",
    ),
)


def registry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--credentials``, ``--ca`` and ``--plain-http``.

    It is called with *credentials*, *authorities* and *plain_http*, for `reaching`.
    """
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def reaching(
    settings: Availability | None,
    credentials: tuple[Path, ...],
    authorities: tuple[str, ...],
    plain_http: tuple[str, ...],
) -> Availability:
    """Return how registries are reached: as the rules file says, and the options besides.

    Raises:
        click.BadParameter: An option is wrong.
    """
    settings = settings or Availability()
    for host in plain_http:
        if not is_domain(host):
            problem = f"{host!r} is no registry: write host or host:port alone"
            raise click.BadParameter(problem, param_hint="--plain-http")
    return replace(
        settings,
        platforms=(),
        credentials=(*settings.credentials, *map(str, credentials)),
        ca_files=(*settings.ca_files, *map(authority, authorities)),
        plain_http=settings.plain_http | {*plain_http},
    )


def authority(text: str) -> tuple[str, str]:
    """Read the value of ``--ca``."""
    host, _, path = text.partition("=")
    if not is_domain(host) or not Path(path).is_file():
        problem = f"{text!r} is no REGISTRY=FILE with a file that is there"
        raise click.BadParameter(problem, param_hint="--ca")
    return host, path


def platform_values(texts: tuple[str, ...]) -> tuple[Platform, ...]:
    """Read the values of ``--platform``.

    Raises:
        click.BadParameter: One is none.
    """
    try:
        return tuple(map(parse_platform, texts))
    except InvalidRuleError as error:
        raise click.BadParameter(error.problem, param_hint="--platform") from None
