"""`mirrorhook import`: convert another tool's file to rules."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from webhook.cli.options import EXIT_FAILED, SetupError
from webhook.imports import FORMATS, RuleSet, UnreadableFileError, format_rules

__all__ = ["import_rules"]

HOSTS_TOML: Final = "hosts.toml"
MAX_BYTES: Final = 1024 * 1024


@click.command("import")
@click.argument("format_", metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--strict", is_flag=True, help="Exit with code 1 if there is any warning.")
@click.pass_context
def import_rules(context: click.Context, format_: str, file: Path, strict: bool) -> None:
    """Convert FILE of another tool to a rules file.

    Whatever has no equivalent is reported on standard error, with its line.

    FORMAT is one of imageswap, harbor-container-webhook, kube-image-keeper,
    mutating-registry-webhook, repimage, registry-proxy, kyverno, registries.conf,
    hosts.toml (FILE may be the folder certs.d), k3s, daemon.json. docs/import.md
    describes each of them.

    The exit code is 2 if FILE is not a valid file of this format.

    \b
    Examples:
      mirrorhook import imageswap maps.conf > rules.yaml
      mirrorhook import hosts.toml /etc/containerd/certs.d
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    if format_ not in FORMATS:
        problem = f"unknown format {format_!r}; the formats are {', '.join(FORMATS)}"
        raise click.UsageError(problem)
    rule_set = RuleSet(str(file))
    for path in _find_files(file, format_):
        rule_set.origin = str(path)
        try:
            FORMATS[format_](_read_text(path), rule_set)
        except UnreadableFileError as error:
            raise SetupError(f"{path}: {error}") from None
    for warning in rule_set.warnings:
        click.echo(f"Warning: {warning}", err=True)
    title = f"Imported by mirrorhook import {format_} from {file.name}."
    click.echo(format_rules(rule_set.rules, title), nl=False)
    if strict and rule_set.warnings:
        context.exit(EXIT_FAILED)


def _find_files(path: Path, format_: str) -> list[Path]:
    """Return the file itself, or of a folder certs.d the files of its hosts."""
    if path.is_file():
        return [path]
    if format_ != HOSTS_TOML:
        raise click.UsageError(f"{path} is a folder, and {format_} needs a file")
    files = sorted(path.glob(f"*/{HOSTS_TOML}"))
    if not files:
        raise click.UsageError(f"{path} contains no HOST/{HOSTS_TOML}")
    return files


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror or error}"
        raise SetupError(problem) from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8") from None
    if len(content) > MAX_BYTES:
        raise SetupError(f"{path} is larger than {MAX_BYTES} bytes")
    return text
