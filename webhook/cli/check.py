"""`mirrorhook check`: validate a rules file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from webhook.cli.completion import complete_images
from webhook.cli.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    SetupError,
    describe_error,
    output_option,
    read_configuration,
    read_content,
    source_options,
)
from webhook.cli.output import show_json, show_table, show_text
from webhook.config import ConfigurationError, parse_rules
from webhook.core import InvalidReferenceError, parse_reference
from webhook.resources.files import check_objects, contains_objects, parse_objects

if TYPE_CHECKING:
    from webhook.config import Configuration, PolicySettings, Problem

__all__ = ["check"]


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
    shell_complete=complete_images,
    help="Ask each mirror for this image too, by its original name; may be repeated.",
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
    """Validate a rules file or custom resources, and summarize them.

    FILE is short for --config FILE, and - is standard input. All problems are reported at
    once, with their lines.

    FILE may also be YAML with ClusterMirrorRules and MirrorRules. With --config, they are
    checked together with that rules file: what it delegates, and cycles.

    The exit code is 0 if the rules can be used, with or without warnings, and 2 if not.
    With --probe it is 1 if a mirror does not have the image that it was asked for.
    """
    is_config_given = context.get_parameter_source("config") is ParameterSource.COMMANDLINE
    if file is not None and not is_config_given:
        config = None
    _check_names(images)
    try:
        configuration, is_file = _read(file, config, profile)
    except ConfigurationError as error:
        if output == "json":
            show_json(_configuration_entry(None, error.problems))
            context.exit(EXIT_USAGE)
        raise SetupError(describe_error(error)) from None
    entry = _configuration_entry(configuration, ())
    if output != "json":
        _show_configuration(configuration, "POLICY" if is_file else "OBJECT")
    is_missing = False
    if probe or images:
        from webhook.cli import probe as registries  # noqa: PLC0415 - see main.py

        policies = configuration.policies.values()
        probes = [each for policy in policies for each in registries.probe_mirrors(policy, images)]
        entry["probes"] = [registries.mirror_entry(each) for each in probes]
        is_missing = any(each.is_missing for each in probes)
        if output != "json":
            registries.show_mirrors(probes)
    if output == "json":
        show_json(entry)
    if is_missing:
        context.exit(EXIT_FAILED)


def _read(
    file: Path | None, config: Path | None, profile: tuple[str, ...]
) -> tuple[Configuration, bool]:
    """Return what is in the rules, and whether they are a rules file, not custom resources."""
    if file is None:
        return read_configuration(config, profile), True
    content, name = read_content(file, "the file to check")
    if contains_objects(content):
        base = read_configuration(config, profile) if config or profile else None
        return check_objects(parse_objects(content, name), base), False
    if config or profile:
        raise click.UsageError(
            "give only one of FILE, --config and --profile, unless FILE has custom resources"
        )
    return parse_rules(content, name), True


def _check_names(images: tuple[str, ...]) -> None:
    for image in images:
        try:
            parse_reference(image)
        except InvalidReferenceError as error:
            raise click.BadParameter(f"{image!r}: {error}", param_hint="--image") from None


def _configuration_entry(
    configuration: Configuration | None, problems: tuple[Problem, ...]
) -> dict[str, Any]:
    """Return what is in the rules with the keys that ``--output json`` promises."""
    policies = configuration.policies.values() if configuration else ()
    return {
        "valid": configuration is not None,
        "policies": [
            {
                "name": policy.name,
                "path": _path(policy),
                "mode": str(policy.mode),
                "record": policy.record,
                "rules": len(policy.mirrors.rules),
                "ownRules": _count_own_rules(policy),
                "profiles": list(policy.profiles),
            }
            for policy in policies
        ],
        "warnings": list(configuration.warnings) if configuration else [],
        "problems": [asdict(problem) for problem in problems],
    }


def _show_configuration(configuration: Configuration, title: str) -> None:
    """Write what is in the rules, and their warnings, for people."""
    rows = [
        (
            policy.name,
            _path(policy),
            str(policy.mode),
            str(len(policy.mirrors.rules)),
            str(_count_own_rules(policy)),
            ", ".join(policy.profiles) or "none",
            "yes" if policy.record else "no",
        )
        for policy in configuration.policies.values()
    ]
    show_text("The rules are valid.\n")
    show_table((title, "PATH", "MODE", "RULES", "OWN RULES", "PROFILES", "RECORD"), rows)
    for warning in configuration.warnings:
        show_text(f"\nWarning: {warning}")


def _path(policy: PolicySettings) -> str:
    """Return the path that the webhook serves a policy at; an object has none."""
    if " " in policy.name:
        return "-"
    return "/mutate" if policy.name == "default" else f"/mutate/{policy.name}"


def _count_own_rules(policy: PolicySettings) -> int:
    """Return how many of a policy's rules are not from a profile."""
    return sum(not rule.source for rule in policy.mirrors.rules)
