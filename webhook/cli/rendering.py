"""What becomes of something rendered: deviations are told, files are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from webhook.cli.rules import load_configuration, select_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from webhook.config import Configuration, PolicySettings
    from webhook.render import Deviation, File, Rendered

__all__ = ["write"]

FAILED: Final = 1
NOTHING: Final = "none of the rules can be said in this form, so nothing is written"
OBSERVED: Final = "the policy only observes, and what is rendered acts"
OTHERS: Final = "one policy is rendered, {chosen}; there are more in the file"


def write(
    make: Callable[[PolicySettings], Rendered],
    *,
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    output_dir: Path | None,
    accept: tuple[str, ...],
    strict: bool,
) -> None:
    """Render one policy, tell what could not be said, and write the rest.

    Args:
        make: Renders the policy.
        config: As for `load_configuration`.
        profile: As for `load_configuration`.
        policy: Name of the policy.
        output_dir: Folder to write to; standard output without one.
        accept: Codes of deviations that end nothing.
        strict: Whether those that leave rules out end the command too.

    Raises:
        click.ClickException: A deviation was not accepted, nothing could be said, or
            a file cannot be written.
    """
    from webhook.core import InvalidRuleError  # noqa: PLC0415 - only what is called

    known = known_codes(accept)
    configuration = load_configuration(config, profile)
    chosen = select_policy(configuration, config, profile, policy)
    try:
        rendered = make(chosen)
    except InvalidRuleError as error:
        raise click.ClickException(str(error)) from None
    refused = False
    for deviation in (*circumstances(configuration, chosen), *rendered.deviations):
        ends = deviation.code not in known and (deviation.misleads or strict)
        refused = refused or ends
        click.echo(f"{'Error' if ends else 'Warning'}: {deviation}", err=True)
    if refused:
        click.get_current_context().exit(FAILED)
    if not rendered.files:
        raise click.ClickException(NOTHING)
    if output_dir is None:
        click.echo("\n".join(printed(rendered.files)), nl=False)
    else:
        for file in rendered.files:
            save(output_dir, file)


def known_codes(accept: tuple[str, ...]) -> frozenset[str]:
    """Return the codes that were given.

    Raises:
        click.BadParameter: One of them is none.
    """
    from webhook.render import Code  # noqa: PLC0415 - only what is called

    for code in accept:
        if code not in tuple(Code):
            problem = f"there is no code {code!r}; there are {', '.join(Code)}"
            raise click.BadParameter(problem, param_hint="--accept")
    return frozenset(accept)


def circumstances(configuration: Configuration, policy: PolicySettings) -> Iterator[Deviation]:
    """Yield what of a rules file no other program knows, whatever the rules."""
    from webhook.config import Mode  # noqa: PLC0415 - only what is called
    from webhook.render import Code, Deviation  # noqa: PLC0415 - as above

    others = tuple(name for name in configuration.policies if name != policy.name)
    if others:
        yield Deviation(Code.OTHER_POLICIES, OTHERS.format(chosen=policy.name), others)
    if policy.mode is Mode.OBSERVE:
        yield Deviation(Code.OBSERVE, OBSERVED, (policy.name,), misleads=True)


def printed(files: tuple[File, ...]) -> Iterator[str]:
    """Yield the files for standard output, each of several with its path in a comment."""
    for file in files:
        yield file.text if len(files) == 1 else f"# {file.path}\n{file.text}"


def save(folder: Path, file: File) -> None:
    """Write one file below a folder.

    Raises:
        click.ClickException: It cannot be written.
    """
    path = folder / file.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(str(path))
