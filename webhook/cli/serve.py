"""`mirrorhook serve`: the webhook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.cli.options import SetupError, describe_error
from webhook.telemetry import LOG_LEVELS

if TYPE_CHECKING:
    from webhook.server import ManagedCertificate

__all__ = ["serve"]

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--config",
    "-c",
    type=FILE,
    metavar="FILE",
    required=True,
    envvar="MIRRORHOOK_CONFIG",
    show_envvar=True,
    help="Rules file; changes take effect without a restart.",
)
@click.option(
    "--wait-for-rules",
    is_flag=True,
    help="Start with an invalid rules file too, and be ready only when it is valid.",
)
@click.option("--host", default="", metavar="HOST", help="Address to listen on.  [default: all]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8443,
    show_default=True,
    help="Port for reviews, over TLS; 0 picks a free one.",
)
@click.option(
    "--operations-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port for /healthz, /readyz, /metrics and the console, over HTTP; 0 picks a free one.",
)
@click.option(
    "--tls-cert",
    type=FILE,
    metavar="FILE",
    help="Certificate with its chain, in PEM; changes take effect without a restart. "
    "Without it the certificate is self-signed and kept in memory.",
)
@click.option(
    "--tls-key", type=FILE, metavar="FILE", help="Private key of the certificate, in PEM."
)
@click.option(
    "--client-ca",
    type=FILE,
    metavar="FILE",
    help="CAs, in PEM: reviews are taken only from clients with a certificate of one of them; "
    "changes take effect without a restart.  [default: from everyone]",
)
@click.option(
    "--client-name",
    "client_names",
    multiple=True,
    metavar="NAME",
    help="Common name, or subject alternative name, that such a certificate needs; "
    "repeat it to allow several.  [default: any]",
)
@click.option(
    "--certificate-secret",
    metavar="NAMESPACE/NAME",
    help="Keep a CA in this Secret, and sign the certificate with it.",
)
@click.option("--service-name", metavar="NAME", help="Service that the API server calls.")
@click.option("--service-namespace", metavar="NAMESPACE", help="Namespace of that Service.")
@click.option(
    "--webhook-configuration",
    metavar="NAME",
    help="MutatingWebhookConfiguration that gets the CA.",
)
@click.option(
    "--custom-resources",
    is_flag=True,
    help="Add the ClusterMirrorRules and MirrorRules of the cluster to the rules file.",
)
@click.option(
    "--lease",
    metavar="NAMESPACE/NAME",
    help="Lease of the replica that writes the status of these objects.  [default: none does]",
)
@click.option(
    "--console/--no-console",
    default=True,
    show_default=True,
    help="Serve the console on the operations port, to clients on this machine only.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0, 25),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How long to keep serving after SIGTERM.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    help="Lowest level that is logged. Each reviewed Pod is a line at info, or at warning if it "
    "has one; reviews that look at no image, such as those of Pods that opted out, are at debug.",
)
def serve(
    config: Path,
    wait_for_rules: bool,
    host: str,
    port: int,
    operations_port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    client_names: tuple[str, ...],
    certificate_secret: str | None,
    service_name: str | None,
    service_namespace: str | None,
    webhook_configuration: str | None,
    custom_resources: bool,
    lease: str | None,
    console: bool,
    drain: float,
    log_level: str,
) -> None:
    """Run the webhook, which answers AdmissionReviews of Pods with JSON patches.

    It reports on standard error when it is ready, and logs to standard output, one JSON
    object per line.
    """
    if config == Path("-"):
        raise click.UsageError("serve needs a rules file that it can watch, not standard input")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("give both --tls-cert and --tls-key, or neither")
    if client_names and client_ca is None:
        raise click.UsageError("--client-name needs --client-ca")
    if certificate_secret is not None and tls_cert is not None:
        raise click.UsageError("give either --certificate-secret or --tls-cert, not both")
    if lease is not None and not custom_resources:
        raise click.UsageError("--lease needs --custom-resources")
    from webhook.server import STARTUP_ERRORS, ServerSettings, run  # noqa: PLC0415 - see main.py

    settings = ServerSettings(
        config=config,
        wait_for_rules=wait_for_rules,
        host=host,
        port=port,
        operations_port=operations_port,
        certificate=tls_cert,
        key=tls_key,
        client_ca=client_ca,
        client_names=frozenset(client_names),
        managed=_parse_managed(
            certificate_secret, service_namespace, service_name, webhook_configuration
        ),
        custom_resources=custom_resources,
        lease=None if lease is None else _split_name(lease, "--lease"),
        console=console,
        drain=drain,
        log_level=log_level,
    )
    try:
        run(settings, lambda sentence: click.echo(sentence, err=True))
    except STARTUP_ERRORS as error:
        raise SetupError(describe_error(error)) from None


def _parse_managed(
    certificate_secret: str | None,
    service_namespace: str | None,
    service_name: str | None,
    webhook_configuration: str | None,
) -> ManagedCertificate | None:
    """Return the objects behind a managed certificate; None without --certificate-secret."""
    if certificate_secret is None:
        return None
    namespace, name = _split_name(certificate_secret, "--certificate-secret")
    if not (service_name and service_namespace and webhook_configuration):
        problem = (
            "--certificate-secret needs --service-name, --service-namespace and "
            "--webhook-configuration"
        )
        raise click.UsageError(problem)
    from webhook.server import ManagedCertificate  # noqa: PLC0415 - see main.py

    return ManagedCertificate(
        secret_namespace=namespace,
        secret_name=name,
        service_namespace=service_namespace,
        service_name=service_name,
        configuration=webhook_configuration,
    )


def _split_name(text: str, option: str) -> tuple[str, str]:
    """Return the two parts of NAMESPACE/NAME."""
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name and "/" not in name):
        problem = f"{text!r} is not NAMESPACE/NAME"
        raise click.BadParameter(problem, param_hint=option)
    return namespace, name
