"""
What holds for all tests.

Property tests look at the same examples in every run, so that one run says what the
next will; `pytest --hypothesis-profile=search` looks for new ones, and for longer.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=3000)
settings.load_profile("steady")
