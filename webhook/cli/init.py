"""`mirrorhook init`: write a first rules file, and values for the chart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from webhook.cli.options import SetupError
from webhook.cli.output import show_text
from webhook.cli.products import PRODUCTS, guess_product
from webhook.config import ConfigurationError, parse_rules
from webhook.config.schema import SCHEMA_URL

if TYPE_CHECKING:
    from webhook.cli.products import Product

__all__ = ["init"]

DOCUMENTATION: Final = "https://github.com/mirrorhook/mirrorhook/blob/main/docs"
CHART: Final = "oci://ghcr.io/mirrorhook/charts/mirrorhook"
# The registry of mirrorhook's own image.
OWN_REGISTRY: Final = "ghcr.io"
RULES_FILE, VALUES_FILE = "rules.yaml", "values.yaml"

RULES: Final = """\
# yaml-language-server: $schema={schema}
#
# Rules for {title} at {registry}, written by `mirrorhook init`.
#
#   mirrorhook explain --config {file} nginx:1.27   # what happens to an image, and why
#   mirrorhook check {file} --probe                 # does each mirror have an image?
#
# All keys: {documentation}/rules.md

{rules}"""

VALUES: Final = """\
# Values of the chart for {title} at {registry}, written by `mirrorhook init`.
#
#   helm install mirrorhook {chart} \\
#     --namespace mirrorhook --create-namespace --values {file}
#   kubectl label namespace NAME mirrorhook.io/rewrite=enabled
#
# Installation guide: {documentation}/install.md

{image}
# Namespaces opt in with the label above. To rewrite all but the system's: `mode: all`.
selection:
  mode: opt-in

# The rules, as in {rules_file}. Change both, and run `helm upgrade`.
{rules}"""

OWN_IMAGE: Final = """\
# mirrorhook does not rewrite its own image, so this names its mirror.
global:
  imageRegistry: {mirror}
  # Secrets with the credentials of the registry, in the namespace mirrorhook.
  imagePullSecrets: []
"""
FLAT_IMAGE: Final = """\
# mirrorhook does not rewrite its own image, so this names its copy.
image:
  registry: {mirror}
  repository: mirrorhook
global:
  # Secrets with the credentials of the registry, in the namespace mirrorhook.
  imagePullSecrets: []
"""
FOREIGN_IMAGE: Final = """\
# mirrorhook does not rewrite its own image. If the nodes cannot pull it from ghcr.io, copy it to
# the registry, and name it here.
# global:
#   imageRegistry: {registry}/PATH
"""
PULL_SECRETS: Final = """\
# If Pods need credentials for a mirror, name a Secret of their namespace in its place:
#   mirrors:
#     - target: {target}
#       pullSecrets: [registry]
"""


@click.command()
@click.option(
    "--registry",
    metavar="HOST[/PATH]",
    help="Your registry; a path if its mirrors are below one.",
)
@click.option(
    "--product",
    type=click.Choice(tuple(PRODUCTS)),
    help="What the registry is, for the names of its mirrors.  [default: by its host]",
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="REGISTRY[=PATH]",
    help="Registry to mirror, and the path of its mirror if not the usual; may be repeated.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Where to write the files.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def init(
    registry: str | None,
    product: str | None,
    upstreams: tuple[str, ...],
    directory: Path,
    *,
    force: bool,
) -> None:
    """Write a first rules file, and values for the chart.

    On a terminal it asks for what the options do not say.

    \b
      mirrorhook init --registry harbor.example.com
      mirrorhook init --registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com
      mirrorhook init --registry europe-docker.pkg.dev/my-project --upstream docker.io
      mirrorhook init --registry r.example.com --upstream docker.io=hub --upstream quay.io
    """  # noqa: D301 - click's mark for a paragraph that is not folded
    existing = [name for name in (RULES_FILE, VALUES_FILE) if (directory / name).exists()]
    if existing and not force:
        verb = "exist" if len(existing) > 1 else "exists"
        raise SetupError(
            f"{' and '.join(existing)} already {verb} in {directory}: use --force to replace, "
            "or --directory to write elsewhere"
        )
    registry, chosen, upstreams = _ask(registry, product, upstreams)
    mirrors = _name_mirrors(registry, chosen, upstreams)
    files = {
        RULES_FILE: _write_rules(registry, chosen, mirrors),
        VALUES_FILE: _write_values(registry, chosen, mirrors),
    }
    try:
        configuration = parse_rules(files[RULES_FILE], RULES_FILE)
    except ConfigurationError as error:
        # Each mirror has the same registry, so nearly always the same problem.
        problem = error.problems[0].message
        raise click.UsageError(f"the options give no valid rules: {problem}") from None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(
            f"cannot write to {directory}: {error.strerror}; choose another --directory"
        ) from None
    for warning in configuration.warnings:
        click.echo(f"Warning: {warning}", err=True)
    rules, values = directory / RULES_FILE, directory / VALUES_FILE
    show_text(f"Wrote {rules} and {values}. Next:\n")
    show_text(f"  mirrorhook check {rules} --probe")
    show_text(
        f"  helm install mirrorhook {CHART} "
        f"--namespace mirrorhook --create-namespace --values {values}"
    )


def _ask(
    registry: str | None, product: str | None, upstreams: tuple[str, ...]
) -> tuple[str, Product, tuple[str, ...]]:
    """Return the answers of the options, and ask for the others if there is a terminal.

    Raises:
        click.UsageError: An answer is missing or cannot be used.
    """
    is_terminal = sys.stdin.isatty()
    if registry is None:
        if not is_terminal:
            raise click.UsageError("give --registry HOST, such as harbor.example.com")
        registry = str(click.prompt("Your registry, such as harbor.example.com", err=True))
    registry = registry.strip().removeprefix("https://").removeprefix("http://").rstrip("/")
    if product is None:
        product = guess_product(registry)
        if is_terminal:
            kinds = click.Choice(tuple(PRODUCTS))
            product = str(click.prompt("Its product", type=kinds, default=product, err=True))
    chosen = PRODUCTS[product]
    if chosen.needs_path and "/" not in registry:
        raise click.UsageError(f"--registry {registry} needs a path: {chosen.needs_path}")
    if not upstreams:
        upstreams = chosen.default_upstreams()
        if is_terminal:
            answer = click.prompt("Registries to mirror", default=", ".join(upstreams), err=True)
            upstreams = tuple(answer.replace(",", " ").split())
    if not upstreams:
        raise click.UsageError("give --upstream REGISTRY, such as docker.io")
    return registry, chosen, upstreams


def _name_mirrors(registry: str, product: Product, upstreams: tuple[str, ...]) -> dict[str, str]:
    """Return the mirror of each upstream registry."""
    mirrors = {}
    for each in upstreams:
        upstream, _, path = each.partition("=")
        if product.flattens and "/" in registry and not path:
            mirrors[upstream] = registry  # it names the namespace, and there is nothing below one
        else:
            mirrors[upstream] = f"{registry}/{path or product.name_mirror(upstream)}"
    return mirrors


def _list_rules(product: Product, mirrors: dict[str, str]) -> str:
    """Return the rules in YAML, with what to do in the registry."""
    upstream, mirror = next(iter(mirrors.items()))
    path = mirror.partition("/")[2]
    lines = [f"# {line.format(upstream=upstream, path=path)}" for line in product.setup]
    lines.append("rules:")
    for upstream, mirror in mirrors.items():
        if not product.can_cache(upstream):
            lines.append(
                f"  # {product.title} does not fetch from {upstream}: fill it by `mirrorhook copy`."
            )
        lines.append(f"  - match: {upstream}")
        if product.flattens:
            lines += ["    mirrors:", f"      - target: {mirror}", "        flatten: true"]
        else:
            lines.append(f"    mirrors: [{mirror}]")
    return "\n".join([*lines, PULL_SECRETS.format(target=next(iter(mirrors.values())))])


def _write_rules(registry: str, product: Product, mirrors: dict[str, str]) -> str:
    """Return the text of the rules file."""
    return RULES.format(
        schema=SCHEMA_URL,
        title=product.title,
        registry=registry,
        file=RULES_FILE,
        documentation=DOCUMENTATION,
        rules=_list_rules(product, mirrors),
    )


def _write_values(registry: str, product: Product, mirrors: dict[str, str]) -> str:
    """Return the text of the values file."""
    own = mirrors.get(OWN_REGISTRY)
    if own is None:
        image = FOREIGN_IMAGE.format(registry=registry)
    else:
        image = (FLAT_IMAGE if product.flattens else OWN_IMAGE).format(mirror=own)
    return VALUES.format(
        title=product.title,
        registry=registry,
        chart=CHART,
        file=VALUES_FILE,
        documentation=DOCUMENTATION,
        image=image,
        rules_file=RULES_FILE,
        rules=_list_rules(product, mirrors),
    )
