from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.tools.golang import GoMissingError, built

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def ask_runtime():
    """Return the URLs that a runtime asks for images, according to its own code."""
    try:
        program = built(HERE / "go")
    except GoMissingError as error:
        pytest.skip(str(error))

    def asked(runtime, path, images):
        done = subprocess.run(
            [program, runtime, path],
            input="".join(f"{image}\n" for image in images),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return asked
