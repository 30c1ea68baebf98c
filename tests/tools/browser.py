"""A real Chromium, driven by the DevTools protocol over a pipe, as a person would use it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Browser", "browsing"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Chromium reads commands from descriptor 3 and answers on 4.
PIPE = 'exec 3<&{commands} 4>&{answers}; exec "$@"'
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Browser:
    """One page of a browser that runs no scripts of the page.

    Args:
        commands: Descriptor that commands are written to.
        answers: Descriptor that answers are read from.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Log.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._answers, 1 << 16)
            assert more, "the browser has ended"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def wait_for_load(self) -> None:
        """Wait until a page has loaded that was asked for just now."""
        while not any(each["method"] == "Page.loadEventFired" for each in self._events):
            answer = self._read()
            self._events.append(answer)
        self._events = [each for each in self._events if each["method"] != "Page.loadEventFired"]

    def open(self, url: str) -> None:
        """Open a page."""
        self.call("Page.navigate", url=url)
        self.wait_for_load()

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window, and whether the visitor prefers dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def press(self, key: str) -> None:
        """Press a key."""
        code = KEYS[key]
        text = {"Enter": "\r", " ": " "}.get(key, "")
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        kind = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type a text into the field that has the focus."""
        self.call("Input.insertText", text=text)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, which the page's own scripts cannot evaluate."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.evaluate("document.body.innerText"))

    @property
    def problems(self) -> list[str]:
        """What the browser complained about."""
        return [
            each["params"]["entry"]["text"]
            for each in self._events
            if each["method"] == "Log.entryAdded"
        ]

    def take_picture(self, path: Path) -> bytes:
        """Write a picture of the window to a file, as PNG, and return it."""
        picture = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        path.write_bytes(picture)
        return picture


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Run a browser until the end of the block; *folder* keeps its profile."""
    assert CHROMIUM
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    script = PIPE.format(commands=commands, answers=answers)
    command = ("bash", "-c", script, "bash", CHROMIUM, "--headless=new", "--no-sandbox")
    options = ("--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}/profile")
    with subprocess.Popen(
        [*command, *options, "about:blank"],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(commands)
        os.close(answers)
        try:
            yield Browser(to_browser, from_browser)
        finally:
            process.kill()
            os.close(to_browser)
            os.close(from_browser)
