"""The files that a rules file names: they belong to it, and are read with it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webhook.core import Allowlist, InvalidRuleError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.config.place import Place

__all__ = ["Files", "fingerprint"]

# DaoCloud's list has 50 KB.
MAX_BYTES: Final = 1024 * 1024


def fingerprint(content: bytes, files: Iterable[Path]) -> str:
    """Return the SHA-256 of a rules file and the files that it names, in hexadecimal.

    Args:
        content: The rules file.
        files: The others. One that cannot be read differs from every one that can.
    """
    digest = sha256(content)
    for file in files:
        try:
            digest.update(b"\0" + sha256(read(file)).digest())
        except OSError:
            digest.update(b"\1")
    return digest.hexdigest()


def read(path: Path) -> bytes:
    """Return the content of a file, or enough of it to see that it is too big."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


class Files:
    """What a rules file names, each file by its path from the folder that it is in.

    Args:
        origin: The rules file.
    """

    def __init__(self, origin: str) -> None:
        self._folder = Path(origin).parent
        self._allowlists: dict[Path, Allowlist] = {}
        self._named: dict[Path, None] = {}
        self._authorities: dict[str, str] = {}

    @property
    def named(self) -> tuple[Path, ...]:
        """The files whose content matters to decisions, whether they could be read or not."""
        return tuple(self._named)

    @property
    def authorities(self) -> tuple[tuple[str, str], ...]:
        """Registries, each with the path of its CA file."""
        return tuple(self._authorities.items())

    def path(self, place: Place) -> str | None:
        """Return the path that stands at *place*."""
        text = place.text()
        if text == "":
            place.refuse("it is empty: write the path of a file")
        return str(self._folder / text) if text else None

    def allowlist(self, place: Place) -> Allowlist | None:
        """Return the allowlist in the file that *place* names."""
        path = self.path(place)
        if path is None:
            return None
        file = Path(path)
        self._named[file] = None
        if file not in self._allowlists:
            try:
                content = read(file)
                if len(content) > MAX_BYTES:
                    place.refuse(f"{path} is larger than {MAX_BYTES} bytes")
                    return None
                self._allowlists[file] = Allowlist(content.decode(), file.name)
            except OSError as error:
                place.refuse(f"{path} cannot be read: {error.strerror or error}")
            except UnicodeDecodeError:
                place.refuse(f"{path} is not UTF-8")
            except InvalidRuleError as error:
                place.refuse(error.problem)
        return self._allowlists.get(file)

    def authority(self, place: Place, registry: str) -> None:
        """Note the CA file at *place* as that of *registry*.

        It is read when the registry is asked, which may be elsewhere.
        """
        path = self.path(place)
        if path is not None and self._authorities.setdefault(registry, path) != path:
            place.refuse(
                f"{registry} has the CA file {self._authorities[registry]} already: a "
                "registry has one"
            )
