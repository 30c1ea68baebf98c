"""Options and arguments that several commands share, and the values that they name."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
from click.core import ParameterSource

from webhook.cli.completion import complete_policies, complete_profiles
from webhook.cli.output import escape_controls
from webhook.config import ConfigurationError, load_profiles, parse_rules
from webhook.config.loader import read_rules_file
from webhook.config.yaml_values import MAX_BYTES
from webhook.core import InvalidRuleError, parse_platform
from webhook.kube import ClusterError, open_client
from webhook.resources.files import contains_objects, merge_objects, parse_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from webhook.config import Configuration, PolicySettings
    from webhook.core import Platform
    from webhook.kube.client import KubeClient

__all__ = [
    "EXIT_FAILED",
    "EXIT_USAGE",
    "NAMESPACE",
    "OBJECT_NAME",
    "NamespaceName",
    "PlatformName",
    "SetupError",
    "choose_output",
    "cluster_options",
    "context_option",
    "describe_error",
    "explain_cluster_errors",
    "files_argument",
    "kubeconfig_option",
    "load_configuration",
    "load_policy",
    "namespace_option",
    "open_cluster",
    "open_stdin",
    "output_option",
    "read_configuration",
    "read_content",
    "read_image_names",
    "refuse_rules",
    "rules_options",
    "select_policy",
    "source_options",
]

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
STDIN: Final = "-"
STDIN_NAME: Final = "standard input"
KUBECONFIG: Final = "~/.kube/config"
# What Kubernetes allows: a DNS label, and a DNS subdomain, whose parts may be longer than labels.
NAMESPACE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
OBJECT_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)
# The kubelet sets this variable in every container.
IN_POD: Final = "KUBERNETES_SERVICE_HOST"


class SetupError(click.ClickException):
    """Rules, a file or a program cannot be used; the exit code is that of wrong usage."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str) -> None:
        # It may repeat what a file says.
        super().__init__("\n".join(map(escape_controls, message.split("\n"))))


class NamespaceName(click.ParamType[str]):
    """The name of a Kubernetes namespace, or nothing."""

    name = "namespace"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name if a namespace can have it."""
        if value and not NAMESPACE.fullmatch(value):
            self.fail(
                f"{value!r} is not the name of a namespace: it has lower-case letters, digits and "
                "'-' only, at most 63, such as shop",
                param,
                ctx,
            )
        return value


class PlatformName(click.ParamType["Platform"]):
    """A platform, such as ``linux/arm64``."""

    name = "platform"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Platform:
        """Return the platform."""
        try:
            return parse_platform(value)
        except InvalidRuleError as error:
            self.fail(error.problem, param, ctx)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config`` and ``--profile`` to a command, for `load_configuration`."""
    command = click.option(
        "--profile",
        "-p",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_profiles,
        help="Built-in profile to use instead of a rules file; may be repeated.",
    )(command)
    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="MIRRORHOOK_CONFIG",
        show_envvar=True,
        help="Rules file, or a file with custom resources; - is standard input.",
    )(command)


def rules_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config``, ``--profile`` and ``--policy`` to a command, for `load_policy`."""
    command = click.option(
        "--policy",
        default="default",
        show_default=True,
        metavar="NAME",
        shell_complete=complete_policies,
        help="Policy of the rules file to apply.",
    )(command)
    return source_options(command)


def files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the files and folders with manifests to a command."""
    kind = click.Path(exists=True, allow_dash=True, path_type=Path)
    return click.argument("files", metavar="[FILE...]", nargs=-1, type=kind)(command)


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--output``, which is ``table`` or ``json``, to a command."""
    choose = choose_output(("table", "json"), "Output for people (table) or for programs (json).")
    return choose(command)


def choose_output(
    formats: Sequence[str], description: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--output`` with other formats to a command; the first is the default."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=description,
    )


def kubeconfig_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--kubeconfig`` to a command, for `open_cluster`."""
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="KUBECONFIG",
        show_envvar=True,
        help=f"Kubeconfig of the cluster.  [default: {KUBECONFIG}]",
    )(command)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--kubeconfig``, ``--context`` and ``--namespace`` to a command, to read a cluster.

    It is called with *kubeconfig* and *kube_context*, for `open_cluster`, and *namespace*.
    """
    command = namespace_option("Namespace.  [default: all]")(command)
    return kubeconfig_option(context_option(command))


def namespace_option(description: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--namespace`` to a command; its value is empty if it is not given."""
    return click.option(
        "--namespace",
        "-n",
        type=NamespaceName(),
        default="",
        metavar="NAME",
        help=description,
    )


def context_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--context`` to a command, which is called with *kube_context*, for `open_cluster`."""
    return click.option(
        "--context",
        "kube_context",
        metavar="NAME",
        help="Context of the kubeconfig.  [default: its current one]",
    )(command)


def open_cluster(kubeconfig: Path | None, context: str | None = None) -> KubeClient:
    """Return the cluster that the options name; no request is sent yet.

    As with kubectl, a Pod without a kubeconfig uses its service account.

    Raises:
        ClusterError: The kubeconfig cannot be used, or the kubernetes package is missing.
    """
    default = Path(KUBECONFIG).expanduser()
    if not kubeconfig and not context and IN_POD in os.environ and not default.exists():
        return open_client()
    return open_client(kubeconfig or default, context)


@contextmanager
def explain_cluster_errors(access: str = "whose Pods and workloads you may list") -> Iterator[None]:
    """Add to errors of a cluster which access the kubeconfig has to give."""
    try:
        yield
    except ClusterError as error:
        problem = str(error).rstrip(".")
        raise SetupError(f"{problem}; give --kubeconfig FILE of a cluster {access}") from None


def read_image_names(arguments: Iterable[str]) -> Iterator[str]:
    """Yield image names, with ``-`` replaced by those on standard input, one per line."""
    for argument in arguments:
        if argument != STDIN:
            yield argument
            continue
        content = open_stdin("image names").read().decode("utf-8-sig", "replace")
        for line in content.split("\n"):
            name = line.strip()
            if name and not name.startswith("#"):
                yield name


def open_stdin(content: str) -> BinaryIO:
    """Return standard input, which a command can read for one purpose only.

    Args:
        content: What is expected there.

    Raises:
        click.UsageError: Something else is expected there, too.
    """
    taken = click.get_current_context().find_root().meta
    first = taken.setdefault(__name__, content)
    if first != content:
        raise click.UsageError(f"standard input cannot hold both {first} and {content}")
    return sys.stdin.buffer


def read_configuration(config: Path | None, profile: tuple[str, ...]) -> Configuration:
    """Read the rules file or the profiles that the options name; ``-`` is standard input.

    The file may have custom resources instead of rules.

    A file that only the environment names gives way to profiles on the command line.

    Raises:
        click.UsageError: Neither is given, or both.
        ConfigurationError: The rules are wrong; it holds every problem.
    """
    if config and profile and _is_from_environment("config"):
        config = None
    if config and profile:
        names = ", ".join(profile)
        raise click.UsageError(
            "give either --config or --profile, not both; to combine them, write "
            f"profiles: [{names}] into the rules file"
        )
    if not config and not profile:
        raise click.UsageError(
            "give --config FILE, or --profile NAME (`mirrorhook profiles` lists them)"
        )
    if not config:
        return load_profiles(profile)
    content, name = read_content(config, "rules")
    if contains_objects(content):
        return merge_objects(parse_objects(content, name), name)
    return parse_rules(content, name)


def read_content(path: Path, purpose: str) -> tuple[bytes, str]:
    """Return the content of a file with rules or objects, and its name for messages.

    Args:
        path: The file, or a pipe; ``-`` is standard input.
        purpose: As *content* of `open_stdin`.

    Raises:
        click.UsageError: As `open_stdin`.
        ConfigurationError: The file cannot be read.
    """
    if path == Path(STDIN):
        return open_stdin(purpose).read(MAX_BYTES + 1), STDIN_NAME
    return read_rules_file(path, read_once=True), str(path)


def _is_from_environment(option: str) -> bool:
    context = click.get_current_context(silent=True)
    return (
        context is not None and context.get_parameter_source(option) is ParameterSource.ENVIRONMENT
    )


def load_configuration(config: Path | None, profile: tuple[str, ...]) -> Configuration:
    """Read the rules, and write their warnings to standard error.

    Raises:
        click.UsageError: As `read_configuration`.
        SetupError: The rules are wrong; its message has every problem.
    """
    try:
        configuration = read_configuration(config, profile)
    except ConfigurationError as error:
        raise SetupError(describe_error(error)) from None
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return configuration


def describe_error(error: Exception) -> str:
    """Return the message of an error, with a heading if it holds several problems."""
    if not isinstance(error, ConfigurationError) or len(error.problems) == 1:
        return str(error)
    return f"the rules have {len(error.problems)} problems:\n{error}"


def refuse_rules(config: Path | None, profile: tuple[str, ...]) -> None:
    """Refuse rules on the command line next to those of a cluster.

    A file that only the environment names gives way to the cluster.

    Raises:
        click.UsageError: ``--config`` or ``--profile`` is given.
    """
    if profile or (config and not _is_from_environment("config")):
        raise click.UsageError("give either --cluster, or --config or --profile, not both")


def load_policy(config: Path | None, profile: tuple[str, ...], policy: str) -> PolicySettings:
    """Load one policy of the rules that the options name.

    Raises:
        click.UsageError: As `load_configuration`; or there is no such policy.
        SetupError: As `load_configuration`.
    """
    return select_policy(load_configuration(config, profile), policy)


def select_policy(configuration: Configuration, name: str) -> PolicySettings:
    """Return the policy of this name.

    Raises:
        click.UsageError: There is no such policy.
    """
    try:
        return configuration.policies[name]
    except KeyError:
        known = ", ".join(configuration.policies)
        raise click.UsageError(f"unknown policy {name!r}; known policies: {known}") from None
