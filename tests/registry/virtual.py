"""An event loop on a clock of its own: hours pass in no time, and always in the same way."""

from __future__ import annotations

import asyncio
import selectors


class VirtualSelector(selectors.SelectSelector):
    """Does not wait for what the loop would wait for, but moves its clock there."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of its selector."""

    def __init__(self):
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self):
        return self.virtual.now


def run(main):
    """Run a coroutine to its end on a clock of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now():
    """The time on that clock, in seconds."""
    return asyncio.get_running_loop().time()
