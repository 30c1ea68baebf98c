"""The command `mirrorhook`: its list of commands, each of which is imported when it is called.

Most of the start-up time is imports. With Python 3.11, click and this module take 50 ms, and
the rules (YAML) 40 ms more; rich takes 30 ms, certificates 90 ms, registry checks (httpx)
170 ms, and the web framework 600 ms. So a command imports what it needs at its top, with two
exceptions: `explain`, `check` and `audit` import `webhook.cli.probe` for ``--probe`` only, and
`serve` imports the server after it has checked its options.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from webhook import __version__
from webhook.cli.shell import (
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    CommandGroup,
    Terminated,
    handle_sigterm,
)

__all__ = ["main", "mirrorhook"]


# In the order of the help page. Each is `webhook.cli.<name>.<name>`, except for LOCATIONS.
COMMANDS: Final = {
    "init": "Write a first rules file, and values for the chart.",
    "serve": "Run the webhook.",
    "explain": "Show what the rules do to images, and why.",
    "audit": "List the images in use, and what the rules make of them.",
    "rewrite": "Rewrite the images in manifests.",
    "pull": "Pull images from mirrors, under their original names.",
    "copy": "Copy images to their mirrors, or to and from an archive.",
    "render": "Write the rules for container runtimes, kubeadm or the API server.",
    "import": "Convert another tool's file to rules.",
    "check": "Validate a rules file.",
    "doctor": "Check a cluster: what is wrong, and how to fix it.",
    "profiles": "List and show the built-in mirror profiles.",
    "completion": "Write a script that completes commands in a shell.",
    "version": "Show the version.",
}
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# As kubectl runs it.
PLUGINS: Final = {"kubectl-mirrorhook": "kubectl mirrorhook"}
LOCATIONS: Final = {
    "import": ("import_rules", "import_rules"),  # `import` is a keyword of Python
    "doctor": ("doctor.command", "doctor"),
    "version": ("completion", "version"),
}


class LazyGroup(CommandGroup):
    """The commands, none of which is imported before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, function = LOCATIONS.get(cmd_name, (cmd_name, cmd_name))
        command: click.Command = getattr(import_module(f"webhook.cli.{module}"), function)
        return command

    def summaries(self, ctx: click.Context) -> dict[str, str]:  # noqa: ARG002
        """Return the summaries without importing any command."""
        return COMMANDS

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; Ctrl-C ends it as in other programs, not as a failure of the work."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mirrorhook", message="%(prog)s %(version)s")
def mirrorhook() -> None:
    """Rewrite container images to mirror registries, according to one rules file.

    Exit codes: 0 success, 1 failure, 2 wrong usage or configuration.
    """


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    handle_sigterm()
    try:
        mirrorhook.main(prog_name=PLUGINS.get(Path(sys.argv[0]).stem, "mirrorhook"))
    except Terminated:
        click.echo("Terminated", err=True)
        sys.exit(EXIT_TERMINATED)
    except BrokenPipeError:  # the reader has gone, as `head` does
        _drop_output()
        sys.exit(1)
    except OSError as error:
        if error.errno not in FULL:
            raise
        _drop_output()
        place = error.filename or "standard output"
        click.echo(f"Error: cannot write to {place}: {error.strerror}; free some space", err=True)
        sys.exit(1)


def _drop_output() -> None:
    """Keep Python from writing the rest to standard output at exit, where it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
