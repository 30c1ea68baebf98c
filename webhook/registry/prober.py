"""The parts put together: from settings to answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from webhook.registry.chooser import Chooser
from webhook.registry.client import Client
from webhook.registry.credentials import CredentialFiles
from webhook.registry.exchange import Network, connections
from webhook.registry.inquiry import Inquirer
from webhook.registry.login import Login
from webhook.registry.observer import Silent
from webhook.registry.places import Places
from webhook.registry.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Availability
    from webhook.registry.exchange import Transports
    from webhook.registry.observer import Observer

__all__ = ["Prober", "client_for"]


def client_for(
    settings: Availability,
    clock: Callable[[], float],
    observer: Observer,
    transports: Transports = connections,
) -> Client:
    """Return who sends requests as some settings say.

    Args:
        settings: They name credentials, CA files, and registries without TLS.
        clock: Gives seconds that only grow.
        observer: Is told of files that cannot be used.
        transports: Makes the way to the network, given the path of a CA file.
    """
    network = Network(dict(settings.ca_files), transports)
    keyring = CredentialFiles(
        settings.credentials,
        read=lambda path: Path(path).read_bytes(),
        clock=clock,
        trouble=observer.troubled,
    )
    places = Places(settings.plain_http)
    return Client(network, places, Login(network, keyring, places, clock))


class Prober:
    """Asks registries as some settings say, and remembers their answers.

    Args:
        settings: How to ask.
        clock: Gives seconds that only grow.
        observer: Is told of what happens.
        transports: Makes the way to the network, given the path of a CA file.
    """

    def __init__(
        self,
        settings: Availability,
        clock: Callable[[], float],
        observer: Observer | None = None,
        transports: Transports = connections,
    ) -> None:
        observer = observer or Silent()
        self.settings = settings
        self._client = client_for(settings, clock, observer, transports)
        registries = Registries(settings, self._client)
        self.inquirer = Inquirer(registries.ask, settings, clock, observer)

    def chooser(self) -> Chooser:
        """Return who chooses for one set of rules by what is known here."""
        return Chooser(self.inquirer, self.settings)

    async def close(self) -> None:
        """Close every connection; questions that are open end in an error."""
        await self._client.close()
