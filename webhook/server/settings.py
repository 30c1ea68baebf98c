"""The settings of `serve`, as its command line gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.tls import ManagedCertificate

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to run the webhook.

    Attributes:
        config: Rules file.
        wait_for_rules: Whether to start with an invalid rules file too, and to be ready only
            when it is valid.
        host: Address to listen on; empty for every address of this machine.
        port: Port for reviews, over TLS; 0 for any free one.
        operations_port: Port for probes and metrics, in plain HTTP; 0 for any free one.
        certificate: PEM file of the serving certificate, with its chain.
        key: PEM file of its private key. Without the two the certificate is self-signed
            and kept in memory, unless it is managed.
        client_ca: PEM file of the CAs whose clients may send reviews; None for everyone.
        client_names: Names of which a client certificate needs one; empty for any.
        managed: Where CA and certificate are kept in the cluster.
        custom_resources: Whether to add ClusterMirrorRules and MirrorRules to the rules file.
        lease: Namespace and name of the Lease whose holder writes their status; None to write
            none.
        console: Whether to serve the console on the operations port.
        drain: Seconds to go on serving after SIGTERM.
        log_level: The lowest level that is logged: ``debug``, ``info``, ``warning`` or ``error``.
    """

    config: Path
    wait_for_rules: bool = False
    host: str = ""
    port: int = 8443
    operations_port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_names: frozenset[str] = frozenset()
    managed: ManagedCertificate | None = None
    custom_resources: bool = False
    lease: tuple[str, str] | None = None
    console: bool = True
    drain: float = 5.0
    log_level: str = "info"
