"""From a rules file, or names of profiles, to policies."""

from __future__ import annotations

from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from webhook.config.assembly import assemble
from webhook.config.document import MAX_BYTES, compose
from webhook.config.files import Files, fingerprint
from webhook.config.oddities import warn_of_profiles
from webhook.config.place import Place
from webhook.config.policies import DEFAULT, known_profiles, read_policies
from webhook.config.problems import ConfigurationError, Findings, Spot
from webhook.config.values import Configuration, PolicySettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["from_profiles", "load", "parse", "read_bytes"]


def load(path: Path) -> Configuration:
    """Read a rules file.

    Raises:
        ConfigurationError: It cannot be read, or is wrong; every problem is told.
    """
    return parse(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, or enough of it to see that it is too big.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror or error}"
        raise ConfigurationError([Spot(str(path)).problem(problem)]) from None


def parse(text: bytes | str, origin: str) -> Configuration:
    """Read the content of a rules file.

    Args:
        text: The content; bytes are UTF-8.
        origin: Its name, for messages.

    Raises:
        ConfigurationError: It is wrong; every problem is told.
    """
    content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    findings = Findings()
    files = Files(origin)
    root = Place.of(compose(content, origin), origin, "", findings)
    policies = read_policies(root, files)
    findings.raise_problems(files.named)
    digest = fingerprint(content, files.named)
    return Configuration(policies, findings.warnings, digest, files.named)


def from_profiles(names: Iterable[str]) -> Configuration:
    """Return a configuration of built-in profiles alone.

    Args:
        names: Names of profiles, the one that wins first.

    Raises:
        ConfigurationError: There is no such profile, or one is named twice.
    """
    findings = Findings()
    nowhere = Spot()
    asked = [(name, nowhere) for name in names]
    profiles = tuple(name for name, _ in known_profiles(asked, findings))
    mirrors = assemble((), profiles, nowhere, findings)
    warn_of_profiles(((name, nowhere) for name in profiles), findings)
    findings.raise_problems()
    policy = PolicySettings(DEFAULT, mirrors, profiles=profiles)
    digest = sha256("\n".join(profiles).encode()).hexdigest()
    return Configuration(MappingProxyType({DEFAULT: policy}), findings.warnings, digest)
