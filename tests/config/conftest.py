from __future__ import annotations

import pytest

from webhook.config import ConfigurationError, parse_rules


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def refused():
    """Gives what is said of a file, a list of lines; the file must be refused."""

    def read(text):
        with pytest.raises(ConfigurationError) as caught:
            parse_rules(text, "rules.yaml")
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return [str(problem) for problem in caught.value.problems]

    return read
