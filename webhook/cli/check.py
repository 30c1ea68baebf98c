"""
`mirrorhook check`: is a rules file right?
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook.cli.rules import (
    ConfigurationFailure,
    read_configuration,
    source_options,
    told,
)
from webhook.cli.table import listing, output_option, show, show_json

if TYPE_CHECKING:
    from webhook.config import Configuration, PolicySettings, Problem

__all__ = ["check"]


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@source_options
@output_option
@click.pass_context
def check(
    context: click.Context,
    file: Path | None,
    config: Path | None,
    profile: tuple[str, ...],
    output: str,
) -> None:
    """
    Validate a rules file, and tell what is in it.

    FILE may stand for --config FILE. Every problem is told at once, with its line.

    The exit code is 0 if the rules can be used, warnings or not, and 2 if not.
    """
    from webhook.config import ConfigurationError  # noqa: PLC0415 - as in rules

    if file is not None and (profile or is_given(context, "config")):
        raise click.UsageError("give FILE, --config or --profile, and only one of them")
    try:
        configuration = read_configuration(file or config, profile)
    except ConfigurationError as error:
        if output == "json":
            show_json(as_object(None, error.problems))
            context.exit(ConfigurationFailure.exit_code)
        raise ConfigurationFailure(told(error)) from None
    if output == "json":
        show_json(as_object(configuration, ()))
    else:
        show_summary(configuration)


def is_given(context: click.Context, option: str) -> bool:
    """
    Say whether an option stands on the command line.
    """
    source = context.get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def as_object(
    configuration: Configuration | None, problems: tuple[Problem, ...]
) -> dict[str, Any]:
    """
    Return the outcome with the keys that ``--output json`` promises.
    """
    policies = configuration.policies.values() if configuration else ()
    return {
        "valid": configuration is not None,
        "policies": [
            {
                "name": policy.name,
                "path": path(policy),
                "mode": str(policy.mode),
                "record": policy.record,
                "rules": len(policy.mirrors.rules),
                "ownRules": own_rules(policy),
                "profiles": list(policy.profiles),
            }
            for policy in policies
        ],
        "warnings": list(configuration.warnings) if configuration else [],
        "problems": [asdict(problem) for problem in problems],
    }


def show_summary(configuration: Configuration) -> None:
    """
    Write for people what is in the rules, and what is odd about them.
    """
    rows = [
        (
            policy.name,
            path(policy),
            str(policy.mode),
            str(len(policy.mirrors.rules)),
            str(own_rules(policy)),
            ", ".join(policy.profiles) or "none",
            "yes" if policy.record else "no",
        )
        for policy in configuration.policies.values()
    ]
    columns = ("POLICY", "PATH", "MODE", "RULES", "OWN", "PROFILES", "RECORD")
    warnings = [f"\nWarning: {warning}" for warning in configuration.warnings]
    show("The rules are valid.\n", listing(columns, rows), *warnings)


def path(policy: PolicySettings) -> str:
    """
    Return the path that the webhook serves a policy at.
    """
    return "/mutate" if policy.name == "default" else f"/mutate/{policy.name}"


def own_rules(policy: PolicySettings) -> int:
    """
    Return how many of a policy's rules are not from a profile.
    """
    return sum(not rule.source for rule in policy.mirrors.rules)
