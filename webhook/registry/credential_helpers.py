"""Ask credential helpers for logins: programs named ``docker-credential-NAME`` (`protocol`_).

A helper takes the name of a registry on standard input, and answers with JSON. It may ask a
cloud, so it can take seconds: it runs by itself, and its answer is kept until it expires.

.. _protocol: https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webhook.registry.credentials import Credential, HelperLogin
from webhook.registry.responses import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    RunHelper = Callable[[HelperLogin], Coroutine[None, None, Credential | None]]

__all__ = ["CredentialHelpers", "HelperError", "find_expiry", "run_helper"]

# A helper that asks a cloud takes up to some seconds.
RUN_SECONDS: Final = 10.0
STOP_SECONDS: Final = 1.0
MAX_ANSWER: Final = 64 * 1024
# What every helper says of a registry that it does not know (docker-credential-helpers).
NOT_FOUND: Final = b"credentials not found in native keychain"
# The user name that goes with a refresh token instead of a password.
TOKEN_USER: Final = "<token>"  # noqa: S105 - a name
# How long a login is kept that does not say when it expires, and one that does: those of GAR
# are valid for some minutes at least, those of ECR for 12 hours.
KEEP_SECONDS: Final = 300.0
MAX_KEEP_SECONDS: Final = 6 * 3600.0
# The helper runs again this long before a login expires, while the login is still used.
REFRESH_SECONDS: Final = 60.0
# Beyond this a time is none.
MAX_TIME: Final = 1e12
# When to run a helper again that failed, or that does not know the registry.
RETRY_SECONDS: Final = 30.0


class HelperError(Exception):
    """A helper gave no login; the message says why, and holds nothing that it wrote."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """The latest answer of a helper.

    Attributes:
        login: The login; None if it has none for the registry.
        problem: Why there is no answer.
        begin: When it came.
        refresh: When to ask again.
        expiry: When not to use it any more.
    """

    login: Credential | None
    problem: str
    begin: float
    refresh: float
    expiry: float


class CredentialHelpers:
    """The answers of helpers, each of which runs once however many checks wait for it.

    Args:
        clock: Monotonic time in seconds.
        now: Seconds since 1970.
        run: Runs a helper.
        patience: How many seconds a check waits for a helper; the helper goes on without it.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        now: Callable[[], float],
        run: RunHelper,
        patience: float,
    ) -> None:
        self._clock = clock
        self._now = now
        self._run = run
        self._patience = patience
        self._answers: dict[HelperLogin, _Answer] = {}
        self._running: dict[HelperLogin, asyncio.Task[None]] = {}

    async def get(self, login: HelperLogin, patience: float = 0.0) -> Credential | None:
        """Return the login that a helper knows; None if it has none for that registry.

        Args:
            login: The helper and the registry.
            patience: How many seconds to wait for it, if more than usual.

        Raises:
            HelperError: The helper failed, or has not answered yet.
        """
        answer = self._answers.get(login)
        if answer is None or self._clock() >= answer.refresh:
            if login not in self._running:
                self._running[login] = asyncio.create_task(self._ask(login))
            if answer is None or self._clock() >= answer.expiry:
                await asyncio.wait([self._running[login]], timeout=max(self._patience, patience))
                answer = self._answers.get(login)
        if answer is None or self._clock() >= answer.expiry:
            raise HelperError(f"its credential helper {login.program} has not answered yet")
        if answer.problem:
            raise HelperError(answer.problem)
        return answer.login

    def forget(self, login: HelperLogin) -> None:
        """Forget an answer that the registry refuses, unless the helper has just given it."""
        answer = self._answers.get(login)
        if answer is not None and self._clock() >= answer.begin + RETRY_SECONDS:
            del self._answers[login]

    async def close(self) -> None:
        """Stop the helpers that are running."""
        running = [*self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, login: HelperLogin) -> None:
        try:
            self._answers[login] = self._keep(await self._run(login))
        except HelperError as error:
            self._record_problem(login, str(error))
        except Exception as error:  # noqa: BLE001 - it would be run again at once
            problem = f"its credential helper {login.program} failed: {type(error).__name__}"
            self._record_problem(login, problem)
        finally:
            del self._running[login]

    def _record_problem(self, login: HelperLogin, problem: str) -> None:
        """Ask again later, and use the login that is known until then."""
        now = self._clock()
        old = self._answers.get(login)
        refresh = now + RETRY_SECONDS
        if old and old.login and now < old.expiry:
            self._answers[login] = replace(old, refresh=min(refresh, old.expiry))
        else:
            self._answers[login] = _Answer(None, problem, now, refresh, refresh)

    def _keep(self, login: Credential | None) -> _Answer:
        now = self._clock()
        if login is None:
            return _Answer(None, "", now, now + RETRY_SECONDS, now + RETRY_SECONDS)
        end = find_expiry(login.refresh_token or login.password)
        seconds = KEEP_SECONDS if end is None else min(end - self._now(), MAX_KEEP_SECONDS)
        # One that expires at once, by our clock, is tried all the same.
        seconds = max(seconds, RETRY_SECONDS)
        refresh = now + max(seconds - REFRESH_SECONDS, RETRY_SECONDS)
        return _Answer(login, "", now, refresh, now + seconds)


def find_expiry(secret: str) -> float | None:
    """Return when a secret expires, in seconds since 1970; None if it does not say.

    The passwords of ECR are JSON with ``expiration``, the tokens of ACR are JSON Web Tokens.
    """
    parts = secret.split(".")
    text = parts[1] if len(parts) == 3 else secret  # noqa: PLR2004 - RFC 7519
    try:
        value = parse_object(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return None
    end = value.get("exp") or value.get("expiration")
    return float(end) if isinstance(end, int | float) and 0 < end < MAX_TIME else None


async def run_helper(login: HelperLogin) -> Credential | None:
    """Run a helper; return the login, or None if it has none for the registry.

    Raises:
        HelperError: It is not there, fails, or takes too long.
    """
    path = shutil.which(login.program)
    if path is None or not Path(path).is_absolute():
        raise HelperError(f"its credential helper {login.program} is not in the PATH")
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # So that it can be stopped with the programs that it starts.
            start_new_session=True,
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
        reason = getattr(error, "strerror", None) or str(error)
        raise HelperError(
            f"its credential helper {login.program} cannot be run: {reason}"
        ) from None
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output = await _converse(process, login.server)
            # One that writes without end does not end either.
            code = await process.wait() if len(output) <= MAX_ANSWER else 0
    except TimeoutError:
        problem = f"its credential helper {login.program} did not answer in {RUN_SECONDS:g} s"
        raise HelperError(problem) from None
    finally:
        await _stop(process)
    if code != 0 and output.strip() == NOT_FOUND:
        return None
    if code != 0:
        raise HelperError(
            f"its credential helper fails with exit code {code}; to see why, run "
            f"echo {login.server} | {login.program} get"
        )
    return _parse_answer(login, output)


async def _converse(process: asyncio.subprocess.Process, server: str) -> bytes:
    """Write the name of the registry, and return what the helper writes, up to a limit."""
    assert process.stdin is not None  # noqa: S101 - for mypy
    assert process.stdout is not None  # noqa: S101 - for mypy
    with suppress(ConnectionError):  # it need not read
        process.stdin.write(f"{server}\n".encode())
        process.stdin.close()
        await process.stdin.wait_closed()
    output = b""
    while len(output) <= MAX_ANSWER and (part := await process.stdout.read(MAX_ANSWER)):
        output += part
    return output


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # A program that it started may keep its output open.
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)


def _parse_answer(login: HelperLogin, output: bytes) -> Credential | None:
    value = parse_object(output) if len(output) <= MAX_ANSWER else {}
    user, secret = value.get("Username"), value.get("Secret")
    if not isinstance(user, str) or not isinstance(secret, str):
        problem = f"its credential helper {login.program} answers with something else than a login"
        raise HelperError(problem)
    if user == TOKEN_USER:
        credential = Credential("", "", refresh_token=secret)
    else:
        credential = Credential("", "", user, secret)
    return None if credential.is_empty else credential
