"""The cluster that a command reads: an option that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from webhook.kube.reading import Reader

__all__ = ["kubeconfig_option", "reader_of"]

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
