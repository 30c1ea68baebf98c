from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from webhook.kube.cluster import run_in_thread

pytestmark = pytest.mark.anyio

FORGOTTEN = """
import asyncio, time
from webhook.kube.cluster import run_in_thread

async def main():
    try:
        await run_in_thread(lambda: time.sleep(90), limit=0.1)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


async def test_run_in_thread_returns_the_result():
    assert await run_in_thread(threading.current_thread, limit=5) is not threading.main_thread()


async def test_run_in_thread_raises_the_error_of_the_call():
    def fail():
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        await run_in_thread(fail, limit=5)


async def test_run_in_thread_does_not_block_the_loop():
    released = threading.Event()
    waiting = asyncio.create_task(run_in_thread(lambda: released.wait(60), limit=60))
    await asyncio.sleep(0.01)
    released.set()
    assert await waiting is True


async def test_run_in_thread_times_out():
    released = threading.Event()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        await run_in_thread(lambda: released.wait(60), limit=0.05)
    assert time.monotonic() - start < 30
    released.set()
    await asyncio.sleep(0.05)


async def test_hanging_call_does_not_keep_the_process_alive():
    start = time.monotonic()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", FORGOTTEN], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
    assert time.monotonic() - start < 60
