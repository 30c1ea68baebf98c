from __future__ import annotations

import pytest

from webhook.config import ConfigurationError, parse_rules


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def refused():
    """Return a function that parses an invalid file and returns its problems as lines."""

    def read(text):
        with pytest.raises(ConfigurationError) as caught:
            parse_rules(text, "rules.yaml")
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return [str(problem) for problem in caught.value.problems]

    return read
