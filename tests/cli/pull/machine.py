"""A machine for `mirrorhook pull`, with fake engines that are real programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from click.testing import CliRunner

from tests.cli.pull import fake_engine
from webhook.cli.pull import pull

DIGEST = "sha256:" + "0123456789abcdef" * 4
HUB, SPARE = "harbor.example.com/hub", "spare.example.com"
NGINX = "docker.io/library/nginx:1"
RULES = f"""
rules:
- match: docker.io
  mirrors: [{HUB}, {SPARE}]
- match: ghcr.io
  mirrors: [harbor.example.com/ghcr]
  original: never
policies:
  other:
    rules: [{{match: docker.io, mirrors: [other.example.com]}}]
"""
COMMAND = (sys.executable, "-m", "webhook", "pull")


class Machine:
    """A folder with rules, and with engines as the only programs on the PATH."""

    def __init__(self, folder):
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.state = folder / "state.json"
        rules = folder / "rules.yaml"
        rules.write_text(RULES, encoding="utf-8")
        self.environment = {
            "PATH": str(self.bin),
            "FAKE_STATE": str(self.state),
            "MIRRORHOOK_CONFIG": str(rules),
        }
        self.know()

    def install(self, *programs, script=f'exec {sys.executable} -SE {{engine}} {{name}} "$@"'):
        for name in programs:
            path = self.bin / name
            path.write_text(
                "#!/bin/sh\n" + script.format(engine=fake_engine.__file__, name=name),
                encoding="utf-8",
            )
            path.chmod(0o755)

    def know(self, *available, **state):
        state["available"] = dict.fromkeys(available, DIGEST)
        self.state.write_text(json.dumps(state), encoding="utf-8")

    @property
    def images(self):
        return self.told()["images"]

    @property
    def calls(self):
        return self.told()["calls"]

    def told(self):
        return json.loads(self.state.read_text(encoding="utf-8"))

    def run(self, *arguments, stdin=None):
        return CliRunner().invoke(pull, arguments, input=stdin, env=self.environment)

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env={**os.environ, "TERM": "xterm-256color", **self.environment},
            **options,
        )
