"""`mirrorhook import`: convert another tool's file to rules."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from webhook.cli.options import (
    EXIT_FAILED,
    OBJECT_NAME,
    STDIN_NAME,
    SetupError,
    namespace_option,
)
from webhook.cli.output import escape_controls
from webhook.core import Original
from webhook.core.errors import CHECK_PATH
from webhook.imports import FORMATS, RuleSet, UnreadableFileError, format_resource, format_rules

__all__ = ["import_rules"]

HOSTS_TOML: Final = "hosts.toml"
DASH: Final = Path("-")
MAX_BYTES: Final = 1024 * 1024


@click.command("import")
@click.argument("format_", metavar="FORMAT")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option(
    "--as",
    "form",
    type=click.Choice(("rules", "crd")),
    default="rules",
    show_default=True,
    help="Write a rules file (rules), or a custom resource (crd).",
)
@click.option(
    "--name", metavar="NAME", help="With --as crd: name of the object.  [default: FORMAT]"
)
@namespace_option("With --as crd: write MirrorRules of this namespace, not ClusterMirrorRules.")
@click.option("--strict", is_flag=True, help="Exit with code 1 if there is any warning.")
@click.pass_context
def import_rules(
    context: click.Context,
    format_: str,
    file: Path,
    form: str,
    name: str | None,
    namespace: str,
    strict: bool,
) -> None:
    """Convert FILE of another tool to a rules file or an object; - is standard input.

    Whatever has no equivalent is reported on standard error, with its line.

    FORMAT is one of imageswap, harbor-container-webhook, kube-image-keeper,
    mutating-registry-webhook, repimage, registry-proxy, k8s-image-swapper, kyverno,
    openshift, registries.conf, hosts.toml (FILE may be the folder certs.d, or a
    config.toml), k3s, daemon.json. docs/import.md describes each of them.

    The exit code is 2 if FILE is not a valid file of this format.

    \b
    Examples:
      mirrorhook import imageswap maps.conf > rules.yaml
      mirrorhook import hosts.toml /etc/containerd/certs.d
      kubectl get idms,itms -o yaml | mirrorhook import openshift -
      mirrorhook import kube-image-keeper sets.yaml --as crd | kubectl apply -f -
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    if format_ not in FORMATS:
        problem = f"unknown format {format_!r}; the formats are {', '.join(FORMATS)}"
        raise click.UsageError(problem)
    if form == "rules" and (name or namespace):
        raise click.UsageError("--name and --namespace need --as crd: a rules file has neither")
    if name is not None and not OBJECT_NAME.fullmatch(name):
        problem = f"{name!r} is not a name in Kubernetes: use lower-case letters, digits, - and ."
        raise click.BadParameter(problem, param_hint="--name")
    rule_set = RuleSet(str(file), namespace)
    for path in _find_files(file, format_):
        rule_set.origin = STDIN_NAME if path == DASH else str(path)
        try:
            FORMATS[format_](_read_text(path, rule_set.origin), rule_set)
        except UnreadableFileError as error:
            raise SetupError(f"{rule_set.origin}: {error}") from None
    for warning in rule_set.warnings:
        click.echo(f"Warning: {escape_controls(str(warning))}", err=True)
    source = STDIN_NAME if file == DASH else escape_controls(file.name)
    title = f"Imported by mirrorhook import {format_} from {source}."
    checks = rule_set.checks_availability or any(
        rule.original is Original.FIRST for rule in rule_set.rules
    )
    if form == "rules":
        text = format_rules(rule_set.rules, title, checks_availability=checks)
    else:
        text = format_resource(
            rule_set.rules,
            title,
            name=name or format_,
            namespace=namespace,
            checks_availability=checks,
        )
    click.echo(text, nl=False)
    if strict and rule_set.warnings:
        context.exit(EXIT_FAILED)


def _find_files(path: Path, format_: str) -> list[Path]:
    """Return the file itself, or of a folder certs.d the files of its hosts."""
    if path == DASH or not path.is_dir():
        return [path]
    if format_ != HOSTS_TOML:
        raise click.UsageError(f"{path} is a folder, and {format_} needs a file")
    files = sorted(path.glob(f"*/{HOSTS_TOML}"))
    if not files:
        raise click.UsageError(f"{path} contains no HOST/{HOSTS_TOML}: give the folder certs.d")
    return files


def _read_text(path: Path, name: str) -> str:
    try:
        with click.open_file(str(path), "rb") as file:
            content: bytes = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"{name} cannot be read: {error.strerror or error}; {CHECK_PATH}"
        raise SetupError(problem) from None
    if len(content) > MAX_BYTES:
        raise SetupError(f"{name} is larger than {MAX_BYTES} bytes: import it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SetupError(f"{name} is not UTF-8: save it as UTF-8") from None
