"""`mirrorhook completion` and `version`, and the completions of options and arguments.

A shell waits for them at every Tab, so they come from fixed lists and the rules file: no
program is run, and no registry is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from webhook import __version__
from webhook.config import ConfigurationError, load_profiles, load_rules
from webhook.config.lint import OFFICIAL_IMAGES
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["complete_images", "complete_policies", "complete_profiles", "completion", "version"]

PROGRAM: Final = "mirrorhook"
# The shell sets it to ask click for completions.
VARIABLE: Final = "_MIRRORHOOK_COMPLETE"
IMAGES: Final = (
    *OFFICIAL_IMAGES,
    *(
        f"registry.k8s.io/{path}"
        for path in (
            "coredns/coredns",
            "etcd",
            "ingress-nginx/controller",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kube-state-metrics/kube-state-metrics",
            "metrics-server/metrics-server",
            "pause",
        )
    ),
    "gcr.io/distroless/base",
    "gcr.io/distroless/static",
    "ghcr.io/fluxcd/source-controller",
    "quay.io/argoproj/argocd",
    "quay.io/jetstack/cert-manager-controller",
    "quay.io/prometheus/alertmanager",
    "quay.io/prometheus/node-exporter",
    "quay.io/prometheus/prometheus",
)
EPILOG: Final = """\
\b
Add to the start-up file of your shell:
  bash  source <(mirrorhook completion bash)
  zsh   source <(mirrorhook completion zsh)
  fish  mirrorhook completion fish | source
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write a script that completes commands, options, images, profiles and policies."""
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101 - click has these three
    root = context.find_root().command
    # The script of bash itself would first look for bash on this machine.
    click.echo(ShellComplete.source(script(root, {}, PROGRAM, VARIABLE)))


@click.command()
def version() -> None:
    """Show the version."""
    click.echo(f"{PROGRAM} {__version__}")


def complete_images(_context: click.Context, _parameter: click.Parameter, word: str) -> list[str]:
    """Return the well-known images that begin with *word*."""
    return _select(IMAGES, word)


def complete_profiles(_context: click.Context, _parameter: click.Parameter, word: str) -> list[str]:
    """Return the profiles that begin with *word*."""
    return _select(PROFILES, word)


def complete_policies(context: click.Context, _parameter: click.Parameter, word: str) -> list[str]:
    """Return the policies of the rules on the command line that begin with *word*."""
    config: Path | None = context.params.get("config")
    if config == Path("-"):
        return []
    try:
        rules = load_rules(config) if config else load_profiles(context.params.get("profile") or ())
    except ConfigurationError:
        return []
    return _select(rules.policies, word)


def _select(words: Iterable[str], start: str) -> list[str]:
    return sorted(word for word in words if word.startswith(start))
