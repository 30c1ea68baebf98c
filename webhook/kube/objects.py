"""The two objects that certificates are kept in, and where Pods are reached, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Endpoint", "Registration", "Secret"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret of the cluster.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        type: Its type, which nobody can change.
        data: Its contents by key, decoded.
        version: Its resource version, as read.
    """

    namespace: str
    name: str
    type: str
    data: Mapping[str, bytes] = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A MutatingWebhookConfiguration: what the API server knows of our webhooks.

    Attributes:
        name: Its name.
        bundles: The CA bundle of each of its webhooks, by the webhook's name.
        version: Its resource version, as read.
    """

    name: str
    bundles: Mapping[str, bytes]
    version: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Pod behind a Service, ready or not.

    Attributes:
        pod: Its name; empty where the cluster does not say.
        address: Its IP address.
        port: Number of the port that was asked for by name.
    """

    pod: str
    address: str
    port: int
