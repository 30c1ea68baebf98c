"""`mirrorhook render`: the same rules where no webhook reaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.options import load_configuration, rules_options, select_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.config import Configuration, PolicySettings
    from webhook.render import Deviation, File, Rendered

__all__ = ["render", "write"]

OPTIONS: Final = (
    click.option(
        "--output-dir",
        "-d",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write the files below DIR in place of standard output.",
    ),
    click.option(
        "--accept",
        multiple=True,
        metavar="CODE",
        help="Go on in spite of a deviation that would end the command; may be repeated.",
    ),
    click.option("--strict", is_flag=True, help="End at every deviation that is not accepted."),
)


@click.group()
def render() -> None:
    """Write the rules in the form of another program.

    What that program cannot do is told on standard error, with a code that
    docs/render.md explains. Where rules are merely left out it is a warning, and their
    images come from their own registry. Where images would be asked for at another place
    than the rules say it is an error, unless --accept names its code.

    The exit code is 1 if there was an error, and then nothing is written.
    """


def target(function: Callable[..., None]) -> click.Command:
    """Make a subcommand that takes the rules and the options for what is written."""
    for option in reversed(OPTIONS):
        function = option(function)
    return render.command()(rules_options(function))


@target
def containerd(**options: Any) -> None:
    """Write certs.d/HOST/hosts.toml for containerd.

    \b
    mirrorhook render containerd --config rules.yaml --output-dir /etc/containerd
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    from webhook.render import render_containerd  # noqa: PLC0415 - only what is called

    write(lambda policy: render_containerd(policy.mirrors.rules), **options)


@target
def crio(**options: Any) -> None:
    """Write a drop-in of registries.conf for CRI-O, podman, buildah and skopeo.

    \b
    mirrorhook render crio --config rules.yaml --output-dir /etc/containers
    """  # noqa: D301 - as above
    from webhook.render import render_crio  # noqa: PLC0415 - as above

    write(lambda policy: render_crio(policy.mirrors.rules), **options)


@target
def k3s(**options: Any) -> None:
    """Write registries.yaml for k3s and RKE2.

    \b
    mirrorhook render k3s --config rules.yaml --output-dir /etc/rancher/k3s
    """  # noqa: D301 - as above
    from webhook.render import render_k3s  # noqa: PLC0415 - as above

    write(lambda policy: render_k3s(policy.mirrors.rules), **options)


@target
def kubeadm(**options: Any) -> None:
    """Write the image repositories of kubeadm's ClusterConfiguration.

    \b
    mirrorhook render kubeadm --config rules.yaml > kubeadm.yaml
    """  # noqa: D301 - as above
    from webhook.render import render_kubeadm  # noqa: PLC0415 - as above

    write(lambda policy: render_kubeadm(policy.mirrors), **options)


@target
def docker(**options: Any) -> None:
    """Write the registry-mirrors of Docker's daemon.json: for Docker Hub only.

    \b
    mirrorhook render docker --profile mirror-gcr-io
    """  # noqa: D301 - as above
    from webhook.render import render_docker  # noqa: PLC0415 - as above

    write(lambda policy: render_docker(policy.mirrors.rules), **options)


@target
@click.option(
    "--api-version",
    type=click.Choice(("v1", "v1beta1")),
    default="v1",
    show_default=True,
    help="Version of MutatingAdmissionPolicy: v1 from Kubernetes 1.36 on.",
)
@click.option(
    "--selection",
    type=click.Choice(("opt-in", "all")),
    default="opt-in",
    show_default=True,
    help="Namespaces labelled mirrorhook.io/rewrite: enabled; or all but those of the "
    "system and those labelled disabled.",
)
@click.option(
    "--enforce",
    is_flag=True,
    help="In its place a ValidatingAdmissionPolicy that refuses unmirrored images.",
)
@click.option("--warn", is_flag=True, help="With --enforce: only warn of them.")
@click.option(
    "--params",
    default="",
    metavar="NAMESPACE",
    help="Put the rules into a ConfigMap of their own in NAMESPACE, not into the policy.",
)
def policy(
    api_version: str,
    selection: str,
    enforce: bool,
    warn: bool,
    params: str,
    **options: Any,
) -> None:
    """Write a policy that the API server itself evaluates, without a webhook.

    \b
    mirrorhook render policy --config rules.yaml | kubectl apply -f -
    mirrorhook render policy --config rules.yaml --enforce --warn | kubectl apply -f -
    """  # noqa: D301 - as above
    from webhook.render import (  # noqa: PLC0415 - as above
        ApiVersion,
        PolicyOptions,
        Selection,
        render_enforcement,
        render_policy,
    )

    if warn and not enforce:
        raise click.UsageError("--warn goes with --enforce: add it")

    def make(chosen: PolicySettings) -> Rendered:
        kind = "mirrorhook-enforce" if enforce else "mirrorhook"
        settings = PolicyOptions(
            name=kind if chosen.name == "default" else f"{kind}-{chosen.name}",
            api_version=ApiVersion(api_version),
            selection=Selection(selection),
            record=chosen.record,
            warn=warn,
            params=params,
        )
        render_one = render_enforcement if enforce else render_policy
        return render_one(chosen.mirrors.rules, settings)

    write(make, **options)


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
