"""A fake of each engine, which keeps names only.

A test may ask it in place of a real one. As a program it is `docker`, `podman` and so
on, by its first argument, and its state is the JSON file that FAKE_STATE names.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path


class FakeEngine:
    """Names and digests: what it has, what is *available*, and the verbs that are *refused*."""

    def __init__(self, available=(), images=(), refused=(), calls=()):
        self.available = dict(available)
        self.images = dict(images)
        self.refused = dict(refused)
        self.calls = [*calls]

    def answer(self, command):
        """Do what a command asks, and return the exit code and the lines that it writes."""
        self.calls.append(" ".join(command))
        program, *words = [word for word in command if not word.startswith("--")]
        if words[0] in ("image", "images") and len(words) > 1:
            del words[0]
        verb, *names = words
        if verb in self.refused:
            return 1, [self.refused[verb]]
        if verb == "pull":
            return self.pull(program, *names)
        if verb in ("images", "ls"):
            return 0, [*self.images]
        if names[0] not in self.images:
            return 1, [f"{names[0]}: no such image"]
        if verb == "tag":
            self.images[names[1]] = self.images[names[0]]
        elif verb in ("rmi", "rm"):
            del self.images[names[0]]
        return 0, ["done"]

    def pull(self, program, name):
        if name not in self.available:
            return 1, [f"{name}: pulling", f"{name}: manifest unknown"]
        digest = self.images[name] = self.available[name]
        if program == "crictl" and "@" not in name:
            self.images[f"{name.rpartition(':')[0]}@{digest}"] = digest
        return 0, [f"{name}: pulling"]


def main():
    path = Path(os.environ["FAKE_STATE"])
    # Several programs run at the same time.
    lock = path.with_suffix(".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    engine = FakeEngine(**json.loads(path.read_text()))
    code, lines = engine.answer(sys.argv[1:])
    sys.stdout.writelines(f"{line}\n" for line in lines)
    path.write_text(json.dumps(vars(engine)))
    sys.exit(code)


if __name__ == "__main__":
    main()
