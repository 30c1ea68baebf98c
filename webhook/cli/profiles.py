"""`mirrorhook profiles`: the built-in rules for public mirrors."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from webhook.cli.completion import complete_profiles
from webhook.cli.options import output_option
from webhook.cli.output import show_json, show_table, show_text
from webhook.config import ConfigurationError, load_profiles
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.profiles import Profile

__all__ = ["profiles"]


@click.command()
@click.argument("name", required=False, shell_complete=complete_profiles)
@output_option
def profiles(name: str | None, output: str) -> None:
    """List the built-in profiles of public mirrors, or show the profile NAME.

    A profile is shown as a rules file that does the same.
    """
    if name is None:
        if output == "json":
            show_json([_profile_entry(profile) for profile in PROFILES.values()])
        else:
            _show_list()
        return
    profile = _find_profile(name)
    if output == "json":
        show_json(_profile_entry(profile))
    else:
        click.echo("\n".join(_rules_file_lines(profile)))


def _find_profile(name: str) -> Profile:
    """Return a profile; an unknown one is a wrong usage, with a suggestion."""
    try:
        load_profiles([name])
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return PROFILES[name]


def _show_list() -> None:
    rows = [
        (profile.name, str(profile.status), profile.date, profile.title)
        for profile in PROFILES.values()
    ]
    show_table(("NAME", "STATUS", "AS OF", "WHAT"), rows)
    show_text("\n`mirrorhook profiles NAME` shows a profile with its rules, conditions and source.")


def _profile_entry(profile: Profile) -> dict[str, Any]:
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


def _rules_file_lines(profile: Profile) -> Iterator[str]:
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
            80,
            initial_indent="# ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield "rules:"
    for rule in profile.rules:
        yield f"  - match: {rule.name}"
        if len(rule.mirrors) == 1 and not rule.mirrors[0].flatten:
            yield f"    mirrors: [{rule.mirrors[0].target}]"
            continue
        yield "    mirrors:"
        for mirror in rule.mirrors:
            if mirror.flatten:
                yield f"      - target: {mirror.target}"
                yield "        flatten: true"
            else:
                yield f"      - {mirror.target}"
