"""What holds for all tests.

Property tests look at the same examples in every run, so that one run says what the
next will; `make coverage` looks at more of them, and
`pytest --hypothesis-profile=search` for new ones, and for longer.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from hypothesis import settings

# In the background of a shell SIGINT is ignored, and would be by all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where Python is told to keep no compiled files, each worker would compile every test, and
# each process that a test starts all of the webhook: a third of the time of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Thousands of tests stay in memory for the whole run, and there is little garbage among
# them to look for so often.
gc.set_threshold(50_000, 20, 100)

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("thorough", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=3000)
settings.load_profile("steady")


def pytest_ignore_collect(collection_path, config):
    """Collect what has a target of its own only if it is named."""
    name = collection_path.name
    named = any(name in argument for argument in config.args)
    return True if name in ("attack", "cluster", "release") and not named else None


def pytest_collection_finish():
    gc.freeze()  # the tests themselves are never garbage
