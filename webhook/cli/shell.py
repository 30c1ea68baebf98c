"""What all commands have in common for the shell: help pages, suggestions, and signals."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["EXIT_INTERRUPTED", "EXIT_TERMINATED", "CommandGroup", "Terminated", "handle_sigterm"]

# As a shell has them: 128 and the number of the signal.
EXIT_INTERRUPTED: Final = 128 + signal.SIGINT
EXIT_TERMINATED: Final = 128 + signal.SIGTERM


class Terminated(SystemExit):
    """SIGTERM has arrived. Like KeyboardInterrupt, it unwinds whatever the process does."""


def handle_sigterm() -> None:
    """Raise `Terminated` in the main thread on SIGTERM; a second one ends the process at once.

    So does SIGHUP, which comes when a terminal closes. A signal that is ignored stays ignored.
    """

    def terminate(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated(EXIT_TERMINATED)

    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, terminate)


class CommandGroup(click.Group):
    """A group of commands that suggests one for a misspelt name, and cuts no line of its help."""

    def summaries(self, ctx: click.Context) -> dict[str, str]:
        """Return the summary of each command for the help page."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return {
            name: command.get_short_help_str(limit=1000)
            for name, command in commands.items()
            if command is not None
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, with summaries that are folded and not cut."""
        with formatter.section("Commands"):
            formatter.write_dl([*self.summaries(ctx).items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names; an unknown one is a wrong usage."""
        name = args[0]
        is_unknown = not name.startswith("-") and self.get_command(ctx, name) is None
        if is_unknown and not ctx.resilient_parsing:
            from webhook.config.yaml_values import suggest  # noqa: PLC0415 - see main.py

            known = tuple(self.list_commands(ctx))
            advice = suggest(name, known) or f"the commands are {', '.join(known)}"
            ctx.fail(f"no command {name!r}; {advice}")
        return super().resolve_command(ctx, args)
