r"""Image references: the grammar, and Docker's normal form.

The grammar is that of the distribution project (`reference`_), which Docker, containerd,
CRI-O and Kubernetes share::

    reference        := name [ ":" tag ] [ "@" digest ]
    name             := [ domain "/" ] path
    domain           := host [ ":" port ]
    host             := domain-name | "[" IPv6 address "]"
    domain-name      := domain-component *( "." domain-component )
    domain-component := /[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]/
    port             := /[0-9]+/
    path             := path-component *( "/" path-component )
    path-component   := alphanumeric *( separator alphanumeric )
    alphanumeric     := /[a-z0-9]+/
    separator        := /[_.]|__|-+/
    tag              := /[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}/
    digest           := algorithm ":" lower-case hexadecimal of its length

Docker then normalises the name. The first part is a domain if it contains a ``.``, a ``:`` or
an upper-case letter, or is ``localhost``; otherwise the image is on ``docker.io``. There, a path
of one part gets ``library/`` in front, and ``index.docker.io`` becomes ``docker.io``.

.. _reference: https://github.com/distribution/reference
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from webhook.core.errors import InvalidReferenceError, quote

__all__ = [
    "DIGEST",
    "DOCKER_HUB",
    "DOMAIN",
    "LEGACY_DOCKER_HUB",
    "MAX_HOST",
    "MAX_IMAGE",
    "MAX_LABEL",
    "MAX_REGISTRY",
    "MAX_REPOSITORY",
    "OFFICIAL",
    "PATH",
    "TAG",
    "ImageReference",
    "find_host_problem",
    "is_digest",
    "is_domain",
    "is_loopback",
    "is_path",
    "looks_like_registry",
    "parse_reference",
]

DOCKER_HUB: Final = "docker.io"
LEGACY_DOCKER_HUB: Final = "index.docker.io"
OFFICIAL: Final = "library/"
LOOPBACK: Final = ("127.", "[::1]")

MAX_REPOSITORY: Final = 255
MAX_HOST: Final = 253  # RFC 1035, section 2.3.4: 255 octets on the wire
MAX_LABEL: Final = 63
# Characters of an image: a host of 253, a port, a repository of 255, a tag and a digest take 780.
MAX_IMAGE: Final = 1024
MAX_REGISTRY: Final = MAX_HOST + len(":65535")
_MAX_TAG: Final = 128

_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN_NAME = rf"{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*"
_HOST = rf"(?:{_DOMAIN_NAME}|\[[a-fA-F0-9:]+\])"
_PORT = r"[0-9]+"
DOMAIN = rf"{_HOST}(?::{_PORT})?"

_PATH_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
TAG = rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_MAX_TAG - 1}}}"

# The algorithms that go-digest registers, with the number of hexadecimal digits.
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
DIGEST = "|".join(f"{name}:[a-f0-9]{{{size}}}" for name, size in _DIGEST_LENGTHS.items())

_match_domain = re.compile(DOMAIN).fullmatch
_match_remainder = re.compile(rf"({PATH})(?::({TAG}))?(?:@({DIGEST}))?").fullmatch
_match_path = re.compile(PATH).fullmatch
_match_tag = re.compile(TAG).fullmatch
_match_digest = re.compile(DIGEST).fullmatch
_match_identifier = re.compile(r"[a-f0-9]{64}").fullmatch
_find_upper_case = re.compile(r"[A-Z]").search
_find_space = re.compile(r"\s").search


class ImageReference(NamedTuple):
    """An image name, split into its parts and in Docker's normal form.

    References to the same image are equal, however they were written. ``str()`` returns the
    normal form, without adding a tag.

    Attributes:
        registry: Host, and port if there is one: ``docker.io``.
        repository: Path within the registry: ``library/nginx``.
        tag: Tag without the colon, or None.
        digest: Digest with its algorithm, ``sha256:…``, or None.
        original: The text that was parsed.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None
    original: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def suffix(self) -> str:
        """``:tag``, ``@digest``, both, or an empty text."""
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag

    def __str__(self) -> str:
        return self.name + self.suffix

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageReference) and self[:4] == other[:4]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:4])


def is_digest(text: str) -> bool:
    """Return whether *text* is a digest of a registered algorithm."""
    return _match_digest(text) is not None


def is_domain(text: str) -> bool:
    """Return whether *text* is a registry host with an optional port."""
    return _match_domain(text) is not None


def is_loopback(registry: str) -> bool:
    """Return whether a registry is on the machine itself, where programs try plain HTTP."""
    host, _, port = registry.rpartition(":")
    return (host if port.isdigit() else registry) == "localhost" or registry.startswith(LOOPBACK)


def find_host_problem(registry: str) -> str:
    """Return why no host can have the name of *registry*; empty if one can.

    The grammar allows names of any length, and the domain name system does not (RFC 1035).
    """
    if len(registry) <= MAX_LABEL:
        return ""
    host = registry.partition(":")[0]
    if len(host) > MAX_HOST:
        return f"the host {quote(host)} is longer than {MAX_HOST} characters"
    for label in host.split("."):
        if len(label) > MAX_LABEL:
            return f"the part {quote(label)} of the host is longer than {MAX_LABEL} characters"
    return ""


def is_path(text: str) -> bool:
    """Return whether *text* is a repository, or whole leading parts of one."""
    return _match_path(text) is not None and len(text) <= MAX_REPOSITORY


def looks_like_registry(part: str) -> bool:
    """Return whether Docker reads *part*, the first of several, as a registry.

    If not, it is a user or an organisation on Docker Hub.
    """
    return "." in part or ":" in part or part == "localhost" or part.lower() != part


def parse_reference(text: str) -> ImageReference:
    """Parse an image name as Docker, containerd and Kubernetes do.

    Args:
        text: For instance ``nginx:1.27`` or ``registry.k8s.io/pause:3.10@sha256:…``. White
            space around it is an error, as it is for container runtimes.

    Raises:
        InvalidReferenceError: The grammar rejects *text*; the message says why.
    """
    first, slash, rest = text.partition("/")
    if not slash:
        registry, remainder = DOCKER_HUB, OFFICIAL + text
        if _match_identifier(text):
            raise InvalidReferenceError(text, _diagnose(text))
    elif first in (DOCKER_HUB, LEGACY_DOCKER_HUB):
        registry = DOCKER_HUB
        remainder = rest if "/" in rest else OFFICIAL + rest
    elif looks_like_registry(first):
        registry, remainder = first, rest
        if not _match_domain(first):
            raise InvalidReferenceError(text, _diagnose(text))
    else:
        registry, remainder = DOCKER_HUB, text
    match = _match_remainder(remainder)
    if match is None:
        raise InvalidReferenceError(text, _diagnose(text))
    repository, tag, digest = match.groups()
    if len(repository) > MAX_REPOSITORY:
        raise InvalidReferenceError(text, _diagnose(text))
    return ImageReference(registry, repository, tag, digest, text)


def _diagnose(text: str) -> str:
    if not text:
        return "it is empty"
    if _find_space(text):
        return "it contains white space"
    if "://" in text:
        scheme = text.partition("://")[0]
        return f"an image name has no scheme such as {quote(scheme)}"
    if _match_identifier(text):
        return "64 hexadecimal digits are an image ID, not a name"
    if not text.isascii():
        return "it contains a character outside ASCII"
    first, slash, rest = text.partition("/")
    if not slash or not looks_like_registry(first):
        return _diagnose_remainder(text, on_hub=True)
    if not _match_domain(first):
        return f"{quote(first)} is not a registry host with an optional port"
    return _diagnose_remainder(rest, on_hub=first in (DOCKER_HUB, LEGACY_DOCKER_HUB))


def _diagnose_remainder(remainder: str, *, on_hub: bool) -> str:
    name, _, digest = remainder.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    repository = head + slash + last
    if not repository:
        return "it has no repository"
    if _find_upper_case(repository):
        return f"the repository {quote(repository)} must be in lower case"
    if not _match_path(repository):
        return (
            f"the repository {quote(repository)} may only contain lower-case letters and digits, "
            "with single '.', '_', '/', '__' or dashes between them"
        )
    official = len(OFFICIAL) if on_hub and not slash else 0
    if official + len(repository) > MAX_REPOSITORY:
        return f"the repository is longer than {MAX_REPOSITORY} characters"
    if colon and len(tag) > _MAX_TAG:
        return f"the tag is longer than {_MAX_TAG} characters"
    if colon and not _match_tag(tag):
        return (
            f"the tag {quote(tag)} may only contain letters, digits, '_', '.' and '-', "
            "and must not start with '.' or '-'"
        )
    return f"the digest {quote(digest)} is not a full sha256, sha384 or sha512 digest"
