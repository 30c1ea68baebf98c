"""Credential helpers: real programs, and the time at which they run."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.virtual_clock import now, run
from webhook.registry import credential_helpers
from webhook.registry.credential_helpers import (
    CredentialHelpers,
    HelperError,
    find_expiry,
    run_helper,
)
from webhook.registry.credentials import Credential, HelperLogin

EPOCH = 1_800_000_000.0
LOGIN = HelperLogin("cloud", "m.example")
ECHO = """
import json, os, sys
server = sys.stdin.readline().strip()
print(json.dumps({"ServerURL": server, "Username": " ".join(sys.argv[1:]), "Secret": server}))
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write the helper of LOGIN, in Python or for a shell."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(code, *, interpreter=sys.executable, mode=0o755):
        path = tmp_path / "docker-credential-cloud"
        path.write_text(f"#!{interpreter}\n{code}")
        path.chmod(mode)
        return path

    return write


def ask(login=LOGIN):
    return asyncio.run(run_helper(login))


def test_helper_gets_the_registry_and_its_answer_is_the_login(program):
    program(ECHO)

    assert ask() == Credential("", "", "get", "m.example")


def test_helper_is_never_run_by_a_shell(program, tmp_path):
    program(ECHO)
    server = f"$(touch {tmp_path}/shell);m.example"

    assert ask(HelperLogin("cloud", server)).password == server
    assert not (tmp_path / "shell").exists()


def test_token_of_helper_is_not_a_password(program):
    program('print(\'{"Username": "<token>", "Secret": "t"}\')')

    assert ask() == Credential("", "", refresh_token="t")


@pytest.mark.parametrize(
    "code",
    [
        "print('credentials not found in native keychain'); exit(1)",
        'print(\'{"Username": "", "Secret": ""}\')',
    ],
)
def test_helper_may_have_no_login(program, code):
    program(code)

    assert ask() is None


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("exit(3)", "fails with exit code 3; to see why, run echo m.example | docker-credential-"),
        ("print('s3cr3t'); exit(1)", "fails with exit code 1"),
        ("print('s3cr3t')", "answers with something else than a login"),
        ("print('[]')", "something else"),
        ('print(\'{"Username": "s3cr3t"}\')', "something else"),
        ('print(\'{"Username": "s3cr3t", "Secret": 1}\')', "something else"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 9)", "something else"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
        ("while True: print('s3cr3t' * 999)", "something else"),
    ],
)
def test_problem_of_helper_is_reported_without_its_words(program, code, problem):
    program(code)

    with pytest.raises(HelperError, match="its credential helper") as caught:
        ask()

    assert problem in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_missing_helper_is_reported(monkeypatch, tmp_path):
    (tmp_path / "docker-credential-cloud").write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path), "", "."):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(HelperError, match="docker-credential-cloud is not in the PATH"):
            ask()


def test_helper_of_the_working_directory_is_not_run(monkeypatch, program, tmp_path):
    program(ECHO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")

    with pytest.raises(HelperError, match="is not in the PATH"):
        ask()


def test_helper_that_cannot_be_run_is_reported(program):
    program("", interpreter="/no/such/program")

    with pytest.raises(HelperError, match="cannot be run: No such file"):
        ask()


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), BlockingIOError(11, "Try again")], ids=repr
)
def test_helper_that_cannot_start_is_reported(program, monkeypatch, error):
    program(ECHO)

    async def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    with pytest.raises(HelperError, match=r"cannot be run: (can't start new thread|Try again)$"):
        ask()


def test_helper_that_hangs_is_stopped_with_its_children(program, monkeypatch, tmp_path):
    monkeypatch.setattr(credential_helpers, "RUN_SECONDS", 3.0)
    program(f"sleep 60 & echo $! > {tmp_path}/child; wait", interpreter="/bin/sh")

    begin = time.monotonic()
    with pytest.raises(HelperError, match=r"did not answer in 3 s"):
        ask()

    assert time.monotonic() - begin < 30
    status = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    for _ in range(100):
        # A child that nobody waits for stays as a zombie.
        if not status.exists() or " Z " in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child of the helper still runs")


class Helper:
    """A helper that answers as a test says, after some seconds."""

    def __init__(self, seconds=1.0):
        self.seconds = seconds
        self.answers = (Credential("", "", "u", f"p{number}") for number in count())
        self.runs = []

    async def __call__(self, login):
        self.runs.append((login.server, round(now())))
        await asyncio.sleep(self.seconds)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def helpers(self, patience=5.0):
        return CredentialHelpers(now, lambda: EPOCH + now(), self, patience)


async def password_at(helpers, second):
    await asyncio.sleep(second - now())
    answer = await helpers.get(LOGIN)
    return answer and answer.password


def test_helper_runs_once_for_many_checks():
    helper = Helper()

    async def main():
        helpers = helper.helpers()
        other = HelperLogin("cloud", "n.example")
        return await asyncio.gather(*map(helpers.get, [LOGIN, LOGIN, other, LOGIN]))

    assert len({each.password for each in run(main())}) == 2
    assert sorted(helper.runs) == [("m.example", 0), ("n.example", 0)]


def test_login_without_expiry_is_renewed_before_it_is_old():
    helper = Helper()

    async def main():
        helpers = helper.helpers()
        return [await password_at(helpers, second) for second in (0, 100, 200, 245, 300, 9000)]

    # The login of second 245 is the old one: the helper runs while it is used.
    assert run(main()) == ["p0", "p0", "p0", "p0", "p1", "p2"]
    assert [second for _, second in helper.runs] == [0, 245, 9000]


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "secret",
    [
        encode({"payload": "x", "version": "2", "expiration": EPOCH + 7200}),
        f"{encode({'alg': 'RS256'})}.{encode({'exp': EPOCH + 7200})}.c2ln",
    ],
)
def test_login_is_kept_until_it_expires(secret):
    helper = Helper()
    helper.answers = iter([Credential("", "", "AWS", secret), Credential("", "", "AWS", "new")])

    async def main():
        helpers = helper.helpers()
        return [await password_at(helpers, second) == "new" for second in (0, 7100, 7160, 7300)]

    assert run(main()) == [False, False, False, True]
    assert [second for _, second in helper.runs] == [0, 7160]


def test_helper_is_not_awaited_longer_than_a_check_has_time():
    helper = Helper(seconds=3.0)

    async def main():
        helpers = helper.helpers(patience=0.4)
        with pytest.raises(HelperError, match="has not answered yet"):
            await helpers.get(LOGIN)
        assert now() < 1
        patient = await helpers.get(LOGIN, 10.0)
        return patient.password, await password_at(helpers, 4)

    assert run(main()) == ("p0", "p0")
    assert len(helper.runs) == 1


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (HelperError("broken"), "broken"),
        (RuntimeError("a secret"), "docker-credential-cloud failed: RuntimeError$"),
        (OSError(11, "a secret"), "docker-credential-cloud failed: BlockingIOError$"),
        (MemoryError(), "docker-credential-cloud failed: MemoryError$"),
    ],
    ids=repr,
)
def test_failure_is_remembered_for_half_a_minute(error, problem):
    helper = Helper()
    helper.answers = iter([error, Credential("", "", "u", "p")])

    async def main():
        helpers = helper.helpers()
        for second in (0, 10, 25):
            with pytest.raises(HelperError, match=problem):
                await password_at(helpers, second)
        return await password_at(helpers, 40)

    assert run(main()) == "p"
    assert len(helper.runs) == 2


def test_failure_to_renew_keeps_the_login_while_it_is_valid():
    helper = Helper()
    broken = HelperError("broken")
    helper.answers = iter([Credential("", "", "u", "p"), broken, broken, broken])

    async def main():
        helpers = helper.helpers()
        kept = [await password_at(helpers, second) for second in (0, 245, 250, 280, 290)]
        with pytest.raises(HelperError, match="broken"):
            await password_at(helpers, 310)
        return kept

    assert run(main()) == ["p"] * 5
    assert [second for _, second in helper.runs] == [0, 245, 280, 310]


def test_registry_without_login_is_remembered():
    helper = Helper()
    helper.answers = iter([None, Credential("", "", "u", "p")])

    async def main():
        helpers = helper.helpers()
        return [await password_at(helpers, second) for second in (0, 20, 40)]

    assert run(main()) == [None, None, "p"]


def test_refused_login_is_asked_for_again_after_half_a_minute():
    helper = Helper()

    async def main():
        helpers = helper.helpers()
        found = []
        for second in (0, 10, 40, 50):
            found.append(await password_at(helpers, second))
            helpers.forget(LOGIN)
        return found

    assert run(main()) == ["p0", "p0", "p0", "p1"]


def test_helpers_that_run_are_stopped_at_the_end():
    helper = Helper(seconds=1000.0)

    async def main():
        helpers = helper.helpers(patience=1.0)
        with pytest.raises(HelperError):
            await helpers.get(LOGIN)
        await helpers.close()
        return now()

    assert run(main()) < 10


@given(
    st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())
)
def test_any_secret_has_an_expiry_or_none(secret):
    end = find_expiry(secret)

    assert end is None or end > 0


@pytest.mark.parametrize("end", [0, -1, 1e400, 10**400, "1", None, [], True])
def test_wrong_expiry_is_ignored(end):
    found = find_expiry(encode({"exp": end}))

    assert found is None or found == 1.0
