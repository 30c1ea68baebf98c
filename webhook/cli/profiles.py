"""`mirrorhook profiles`: the built-in rules for public mirrors."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.output import listing, output_option, show, show_json
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.core import Rule
    from webhook.profiles import Profile

__all__ = ["profiles"]

COMMENT: Final = "# "
WIDTH: Final = 80


@click.command()
@click.argument("name", required=False)
@output_option
def profiles(name: str | None, output: str) -> None:
    """List the built-in profiles of public mirrors, or show the one of a NAME.

    One profile is shown as the rules file that it stands for.
    """
    if name is None:
        if output == "json":
            show_json([as_object(profile) for profile in PROFILES.values()])
        else:
            show_list()
        return
    profile = known(name)
    if output == "json":
        show_json(as_object(profile))
    else:
        click.echo("\n".join(as_rules_file(profile)))


def known(name: str) -> Profile:
    """Return a profile.

    Raises:
        click.UsageError: There is none of that name.
    """
    from webhook.config import (  # noqa: PLC0415 - a list needs no YAML
        ConfigurationError,
        load_profiles,
    )

    try:
        load_profiles([name])
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return PROFILES[name]


def show_list() -> None:
    """Write all profiles for people."""
    rows = [
        (profile.name, str(profile.status), profile.date, profile.title)
        for profile in PROFILES.values()
    ]
    show(
        listing(("NAME", "STATUS", "AS OF", "WHAT"), rows),
        "\n`mirrorhook profiles NAME` shows one with its rules, conditions and source.",
    )


def as_object(profile: Profile) -> dict[str, Any]:
    """Return a profile with the keys that ``--output json`` promises."""
    return {
        "name": profile.name,
        "title": profile.title,
        "status": str(profile.status),
        "date": profile.date,
        "note": profile.note,
        "conditions": list(profile.conditions),
        "source": profile.source,
        "rules": [
            {
                "match": rule.name,
                "mirrors": [
                    {"target": mirror.target, "flatten": mirror.flatten} for mirror in rule.mirrors
                ],
            }
            for rule in profile.rules
        ],
    }


def as_rules_file(profile: Profile) -> Iterator[str]:
    """Yield the lines of a rules file that does the same as a profile."""
    sentences = (
        f"{profile.title}.",
        f"Status: {profile.status}, as of {profile.date}. {profile.note}",
        *profile.conditions,
        f"Source: {profile.source}",
        f"The same in one line: profiles: [{profile.name}]",
    )
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence,
            WIDTH,
            initial_indent=COMMENT,
            subsequent_indent=COMMENT + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield "rules:"
    for rule in profile.rules:
        yield f"  - match: {rule.name}"
        yield from mirrors_of(rule)


def mirrors_of(rule: Rule) -> Iterator[str]:
    """Yield the lines of a rules file for the mirrors of a rule."""
    first, *others = rule.mirrors
    if not others and not first.flatten:
        yield f"    mirrors: [{first.target}]"
        return
    yield "    mirrors:"
    for mirror in rule.mirrors:
        yield (
            f"      - target: {mirror.target}" if mirror.flatten else (f"      - {mirror.target}")
        )
        if mirror.flatten:
            yield "        flatten: true"
