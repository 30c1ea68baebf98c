"""`mirrorhook check`: is a rules file right?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.options import (
    ConfigurationFailure,
    read_configuration,
    source_options,
    told,
)
from webhook.cli.output import listing, output_option, show, show_json

if TYPE_CHECKING:
    from webhook.cli.probe import MirrorProbe
    from webhook.config import Configuration, PolicySettings, Problem

__all__ = ["check"]

FAILED: Final = 1


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@source_options
@click.option(
    "--probe", is_flag=True, help="Ask each mirror for the manifest of a well-known image."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="IMAGE",
    help="With --probe: ask for this image as well, by its original name; may be repeated.",
)
@output_option
@click.pass_context
def check(
    context: click.Context,
    file: Path | None,
    config: Path | None,
    profile: tuple[str, ...],
    probe: bool,
    images: tuple[str, ...],
    output: str,
) -> None:
    """Validate a rules file, and tell what is in it.

    FILE may stand for --config FILE. Every problem is told at once, with its line.

    The exit code is 0 if the rules can be used, warnings or not, and 2 if not. With
    --probe it is 1 if a mirror does not have the image that it was asked for.
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
    probes = probed(configuration, images) if probe or images else None
    if output == "json":
        show_json(as_object(configuration, ()) | records_of(probes))
    else:
        show_summary(configuration)
        show_probes(probes)
    if probes is not None:
        from webhook.cli.probe import is_missing  # noqa: PLC0415 - as in probed

        context.exit(FAILED if is_missing(probes) else 0)


def probed(configuration: Configuration, images: tuple[str, ...]) -> list[MirrorProbe]:
    """Ask each mirror of each policy for an image."""
    from webhook.cli.probe import probe_mirrors  # noqa: PLC0415 - it needs HTTP

    policies = configuration.policies.values()
    return [each for policy in policies for each in probe_mirrors(policy, images)]


def records_of(probes: list[MirrorProbe] | None) -> dict[str, Any]:
    """Return what mirrors answered as a part of the object; nothing if none was asked."""
    if probes is None:
        return {}
    from webhook.cli.probe import mirror_record  # noqa: PLC0415 - as in probed

    return {"probes": [mirror_record(each) for each in probes]}


def show_probes(probes: list[MirrorProbe] | None) -> None:
    """Write for people what mirrors answered; nothing if none was asked."""
    if probes is not None:
        from webhook.cli.probe import COLUMNS, mirror_cells  # noqa: PLC0415 - as in probed

        show("", listing(COLUMNS, [mirror_cells(each) for each in probes]))


def is_given(context: click.Context, option: str) -> bool:
    """Say whether an option stands on the command line."""
    source = context.get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def as_object(configuration: Configuration | None, problems: tuple[Problem, ...]) -> dict[str, Any]:
    """Return the outcome with the keys that ``--output json`` promises."""
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
    """Write for people what is in the rules, and what is odd about them."""
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
    """Return the path that the webhook serves a policy at."""
    return "/mutate" if policy.name == "default" else f"/mutate/{policy.name}"


def own_rules(policy: PolicySettings) -> int:
    """Return how many of a policy's rules are not from a profile."""
    return sum(not rule.source for rule in policy.mirrors.rules)
