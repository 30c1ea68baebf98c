"""Asking another replica how it stands: one small request in plain HTTP.

There is no need of a client library: HTTP/1.0 has no chunks and no second request.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from webhook.server.replicas.values import ReplicaState, RulesInReplica

if TYPE_CHECKING:
    from webhook.kube import Endpoint

__all__ = ["PATH", "NoAnswerError", "ask", "authority", "state_of"]

PATH: Final = "/replica"
MAX_BYTES: Final = 64 * 1024
MAX_TEXT: Final = 512
OK: Final = 200


class NoAnswerError(Exception):
    """A replica does not say how it stands; the message says why."""


async def ask(endpoint: Endpoint) -> ReplicaState:
    """Return how a replica says that it stands; who calls sets the limit of time.

    Raises:
        NoAnswerError: It cannot be reached, or says something else.
    """
    try:
        answer = await fetched(endpoint)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise NoAnswerError(f"{authority(endpoint)} cannot be reached: {reason}") from None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = status_in(head)
    if status != OK:
        told = f"HTTP {status}" if status else "no HTTP"
        raise NoAnswerError(
            f"{authority(endpoint)}{PATH} answers with {told}: it has an older version, or "
            "its console is off"
        )
    try:
        return state_of(body)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NoAnswerError(
            f"{authority(endpoint)}{PATH} does not answer with the state of a replica: it "
            "has another version"
        ) from None


async def fetched(endpoint: Endpoint) -> bytes:
    """Return an answer with its head, cut where it is too long.

    Raises:
        OSError: There is none.
    """
    reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
    try:
        request = f"GET {PATH} HTTP/1.0\r\nHost: {authority(endpoint)}\r\n\r\n"
        writer.write(request.encode())
        answer = b""
        while len(answer) < MAX_BYTES and (piece := await reader.read(MAX_BYTES)):
            answer += piece
        return answer
    finally:
        writer.close()


def authority(endpoint: Endpoint) -> str:
    """Return address and port as they stand in a URL."""
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{host}:{endpoint.port}"


def status_in(head: bytes) -> int:
    """Return the status of an answer; 0 if it is no HTTP."""
    protocol, _, rest = head.partition(b" ")
    code = rest[:3]
    return int(code) if protocol.startswith(b"HTTP/") and code.isdigit() else 0


def state_of(body: bytes) -> ReplicaState:
    """Return a state from its JSON; what a newer version adds is passed over.

    Raises:
        ValueError: It is no JSON, or a time in it is none.
        LookupError: A part is missing.
        TypeError: A part is of another kind.
        RecursionError: It is nested too deeply to be read.
    """
    told = json.loads(body)
    rules = told["rules"]
    return ReplicaState(
        identity=text(told["identity"]),
        name=text(told["name"]),
        version=text(told["version"]),
        started=moment(told["started"]),
        ready=told["ready"] is True,
        problems=[text(each) for each in told["problems"]],
        rules=RulesInReplica(
            digest=text(rules["digest"]),
            loaded=moment(rules["loaded"]),
            refused=rules["refused"] is True,
        ),
        certificate_expires=moment(told["certificate_expires"]),
    )


def text(value: Any) -> str:
    """Return a text, cut where it is too long.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value[:MAX_TEXT]


def moment(value: Any) -> datetime:
    """Return a time with its zone.

    Raises:
        TypeError: It is no text.
        ValueError: The text is none.
    """
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return found
