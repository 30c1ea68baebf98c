"""Options that several commands share, and the rules and cluster that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.config import Configuration, PolicySettings
    from webhook.kube.reading import Reader

__all__ = [
    "ConfigurationFailure",
    "kubeconfig_option",
    "load_configuration",
    "load_policy",
    "read_configuration",
    "reader_of",
    "rules_options",
    "select_policy",
    "source_options",
    "told",
]

USAGE_EXIT: Final = 2

NO_RULES: Final = "give --config FILE, or --profile NAME (`mirrorhook profiles` lists them)"

SOURCE_OPTIONS: Final = (
    click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="MIRRORHOOK_CONFIG",
        show_envvar=True,
        help="Rules file.",
    ),
    click.option(
        "--profile",
        "-p",
        multiple=True,
        metavar="NAME",
        help="Built-in profile to use in place of a rules file; may be repeated.",
    ),
)

POLICY_OPTION: Final = click.option(
    "--policy",
    default="default",
    show_default=True,
    metavar="NAME",
    help="Which policy of the rules file to apply.",
)


class ConfigurationFailure(click.ClickException):
    """Rules that cannot be used: the command ends with the exit code of a wrong usage."""

    exit_code = USAGE_EXIT


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--config`` and ``--profile``.

    The command is called with *config* and *profile*, for `load_configuration`.
    """
    for option in reversed(SOURCE_OPTIONS):
        command = option(command)
    return command


def rules_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--config``, ``--profile`` and ``--policy``.

    The command is called with *config*, *profile* and *policy*, for `load_policy`.
    """
    return source_options(POLICY_OPTION(command))


def read_configuration(config: Path | None, profile: tuple[str, ...]) -> Configuration:
    """Read the rules that the options name.

    Args:
        config: Rules file. One that only the environment names gives way to *profile*.
        profile: Built-in profiles, in place of the file.

    Raises:
        click.UsageError: Neither is given, or both.
        ConfigurationError: The rules are wrong; it holds every problem.
    """
    from webhook.config import load_profiles, load_rules  # noqa: PLC0415 - YAML is not for all

    if config and profile and not is_asked_for("config"):
        config = None
    if bool(config) == bool(profile):
        raise click.UsageError(NO_RULES)
    return load_rules(config) if config else load_profiles(profile)


def is_asked_for(option: str) -> bool:
    """Say whether an option stands on the command line, rather than in the environment."""
    context = click.get_current_context(silent=True)
    if context is None:
        return True
    return context.get_parameter_source(option) is not ParameterSource.ENVIRONMENT


def load_configuration(config: Path | None, profile: tuple[str, ...]) -> Configuration:
    """Load the rules that the options name; what is wrong with them ends the command.

    What is merely odd is told on standard error.

    Args:
        config: Rules file.
        profile: Built-in profiles, in place of the file.

    Raises:
        click.UsageError: Neither is given, or both.
        click.ClickException: The rules are wrong; every problem is told.
    """
    from webhook.config import ConfigurationError  # noqa: PLC0415 - as above

    try:
        configuration = read_configuration(config, profile)
    except ConfigurationError as error:
        raise ConfigurationFailure(told(error)) from None
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return configuration


def told(error: Exception) -> str:
    """Return what is wrong; of the rules one problem, or a heading and a line for each."""
    from webhook.config import ConfigurationError  # noqa: PLC0415 - as above

    if not isinstance(error, ConfigurationError) or len(error.problems) == 1:
        return str(error)
    return f"the rules have {len(error.problems)} problems:\n{error}"


def load_policy(config: Path | None, profile: tuple[str, ...], policy: str) -> PolicySettings:
    """Load one policy of the rules that the options name.

    Raises:
        click.UsageError: As `load_configuration`; or there is no such policy.
        click.ClickException: As `load_configuration`.
    """
    return select_policy(load_configuration(config, profile), config, profile, policy)


def select_policy(
    configuration: Configuration,
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
) -> PolicySettings:
    """Return one policy of what was loaded.

    Args:
        configuration: What was loaded.
        config: The rules file, for the message.
        profile: The profiles, for the message.
        policy: Name of the policy.

    Raises:
        click.UsageError: There is no such policy.
    """
    try:
        return configuration.policies[policy]
    except KeyError:
        known = ", ".join(configuration.policies)
        where = "a profile" if profile else str(config)
        problem = f"there is no policy {policy!r} in {where}; there is: {known}"
        raise click.UsageError(problem) from None


KUBECONFIG: Final = "~/.kube/config"

kubeconfig_option: Final = click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="KUBECONFIG",
    show_envvar=True,
    help=f"Where the cluster is.  [default: {KUBECONFIG}]",
)


def reader_of(kubeconfig: Path | None) -> Reader:
    """Return the cluster that the option names; no request is sent yet.

    Args:
        kubeconfig: File that says where it is; None for that of the user.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    from webhook.kube import open_reader  # noqa: PLC0415 - only where a cluster is read

    return open_reader(kubeconfig or Path(KUBECONFIG).expanduser())
