"""`mirrorhook render`: the rules in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.options import (
    NamespaceName,
    load_configuration,
    rules_options,
    select_policy,
)
from webhook.cli.shell import CommandGroup
from webhook.config import Mode
from webhook.core import InvalidRuleError
from webhook.render import (
    ApiVersion,
    PolicyOptions,
    RenderWarning,
    Selection,
    WarningCode,
    render_containerd,
    render_crio,
    render_docker,
    render_enforcement,
    render_k3s,
    render_kubeadm,
    render_policy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.config import Configuration, PolicySettings
    from webhook.render import RenderedFile, RenderResult

__all__ = ["render"]

OPTIONS: Final = (
    click.option(
        "--output-dir",
        "-d",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write the files to DIR instead of standard output.",
    ),
    click.option(
        "--accept",
        multiple=True,
        metavar="CODE",
        shell_complete=lambda _context, _parameter, word: [
            code for code in WarningCode if code.startswith(word)
        ],
        help="Report the problem with this code as a warning; may be repeated.",
    ),
    click.option(
        "--strict", is_flag=True, help="Treat every warning that is not accepted as an error."
    ),
)


@click.group(cls=CommandGroup)
def render() -> None:
    """Write the rules in the format of another program.

    Whatever that program cannot do is reported on standard error, with a code that
    docs/render.md explains. It is a warning if rules are left out, so that their images
    come from their original registry. It is an error if images would come from another
    place than the rules say, unless --accept names the code.

    The exit code is 1 if there is an error; nothing is written then.
    """


def _target(function: Callable[..., None]) -> click.Command:
    """Make a subcommand that takes the rules and the options of `_write`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return render.command()(rules_options(function))


@_target
def containerd(**options: Any) -> None:
    """Write hosts.toml files for containerd.

    They are certs.d/HOST/hosts.toml in the folder of containerd.

    \b
    Example:
      mirrorhook render containerd --config rules.yaml --output-dir /etc/containerd
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    _write(lambda policy: render_containerd(policy.mirrors.rules), **options)


@_target
def crio(**options: Any) -> None:
    """Write registries.conf for CRI-O and podman.

    It is a drop-in file that buildah and skopeo read, too.

    \b
    Example:
      mirrorhook render crio --config rules.yaml --output-dir /etc/containers
    """  # noqa: D301 - as above
    _write(lambda policy: render_crio(policy.mirrors.rules), **options)


@_target
def k3s(**options: Any) -> None:
    """Write registries.yaml for k3s and RKE2.

    \b
    Example:
      mirrorhook render k3s --config rules.yaml --output-dir /etc/rancher/k3s
    """  # noqa: D301 - as above
    _write(lambda policy: render_k3s(policy.mirrors.rules), **options)


@_target
def kubeadm(**options: Any) -> None:
    """Write image repositories for kubeadm.

    They are a part of its ClusterConfiguration.

    \b
    Example:
      mirrorhook render kubeadm --config rules.yaml > kubeadm.yaml
    """  # noqa: D301 - as above
    _write(lambda policy: render_kubeadm(policy.mirrors), **options)


@_target
def docker(**options: Any) -> None:
    """Write registry-mirrors for Docker.

    They are a part of daemon.json, and Docker uses them for Docker Hub only.

    \b
    Example:
      mirrorhook render docker --profile mirror-gcr-io
    """  # noqa: D301 - as above
    _write(lambda policy: render_docker(policy.mirrors.rules), **options)


@_target
@click.option(
    "--api-version",
    type=click.Choice(("v1", "v1beta1")),
    default="v1",
    show_default=True,
    help="API version of the policy; v1 needs Kubernetes 1.36.",
)
@click.option(
    "--selection",
    type=click.Choice(("opt-in", "all")),
    default="opt-in",
    show_default=True,
    help="Namespaces with the label mirrorhook.io/rewrite: enabled, or all except system "
    "namespaces and those with the value disabled.",
)
@click.option(
    "--enforce",
    is_flag=True,
    help="Write a ValidatingAdmissionPolicy that rejects unmirrored images instead.",
)
@click.option("--warn", is_flag=True, help="With --enforce: warn about them instead.")
@click.option(
    "--params",
    type=NamespaceName(),
    default="",
    metavar="NAMESPACE",
    help="Put the rules into a ConfigMap in NAMESPACE instead of the policy.",
)
def policy(
    api_version: str,
    selection: str,
    enforce: bool,
    warn: bool,
    params: str,
    **options: Any,
) -> None:
    """Write a policy for the API server.

    The API server evaluates it itself, without a webhook.

    \b
    Examples:
      mirrorhook render policy --config rules.yaml | kubectl apply -f -
      mirrorhook render policy --config rules.yaml --enforce --warn | kubectl apply -f -
    """  # noqa: D301 - as above
    if warn and not enforce:
        raise click.UsageError("--warn needs --enforce")

    def render_settings(settings: PolicySettings) -> RenderResult:
        name = "mirrorhook-enforce" if enforce else "mirrorhook"
        policy_options = PolicyOptions(
            name=name if settings.name == "default" else f"{name}-{settings.name}",
            api_version=ApiVersion(api_version),
            selection=Selection(selection),
            record=settings.record,
            warn=warn,
            params=params,
        )
        render_one = render_enforcement if enforce else render_policy
        return render_one(settings.mirrors.rules, policy_options)

    _write(render_settings, **options)


def _write(
    render_settings: Callable[[PolicySettings], RenderResult],
    *,
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    output_dir: Path | None,
    accept: tuple[str, ...],
    strict: bool,
) -> None:
    """Render one policy, report what could not be rendered, and write the rest.

    Args:
        render_settings: Renders the policy.
        config: As for `load_configuration`.
        profile: As for `load_configuration`.
        policy: Name of the policy.
        output_dir: Folder to write to; None for standard output.
        accept: Codes of warnings that are no errors.
        strict: Whether those that leave rules out are errors too.
    """
    for code in accept:
        if code not in tuple(WarningCode):
            problem = f"unknown code {code!r}; the codes are {', '.join(WarningCode)}"
            raise click.BadParameter(problem, param_hint="--accept")
    configuration = load_configuration(config, profile)
    settings = select_policy(configuration, policy)
    try:
        rendered = render_settings(settings)
    except InvalidRuleError as error:
        raise click.ClickException(str(error)) from None
    refused: dict[str, None] = {}
    for warning in (*_iterate_policy_warnings(configuration, settings), *rendered.warnings):
        is_error = warning.code not in accept and (warning.misleads or strict)
        if is_error:
            refused[warning.code] = None
        click.echo(f"{'Error' if is_error else 'Warning'}: {warning}", err=True)
    if refused:
        options = " ".join(f"--accept {code}" for code in refused)
        raise click.ClickException(
            f"nothing is written: change the rules, or accept the difference by {options}"
        )
    if not rendered.files:
        raise click.ClickException(
            "none of the rules can be written in this format: docs/render.md says why"
        )
    if output_dir is None:
        click.echo("\n".join(_format_files(rendered.files)), nl=False)
    else:
        for file in rendered.files:
            _save_file(output_dir, file)


def _iterate_policy_warnings(
    configuration: Configuration, policy: PolicySettings
) -> Iterator[RenderWarning]:
    """Yield what no other program knows of a rules file, whatever the rules."""
    others = tuple(name for name in configuration.policies if name != policy.name)
    if others:
        text = f"only policy {policy.name} is rendered, and the file has more"
        yield RenderWarning(WarningCode.OTHER_POLICIES, text, others)
    if policy.mode is Mode.OBSERVE:
        text = "the policy has mode observe, but what is rendered takes effect"
        yield RenderWarning(WarningCode.OBSERVE, text, (policy.name,), misleads=True)


def _format_files(files: tuple[RenderedFile, ...]) -> Iterator[str]:
    """Yield the files for standard output, each of several with its path in a comment."""
    for file in files:
        yield file.text if len(files) == 1 else f"# {file.path}\n{file.text}"


def _save_file(folder: Path, file: RenderedFile) -> None:
    path = folder / file.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(str(path))
