"""The container image: how large it is, and how long it takes to start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.own_image import ImageMissingError, layout
from tests.server.process import READY, RULES

__all__ = ["measure_image"]

STARTS = 3
# As the user of the image, with its own Python, and nothing of this machine but the kernel.
USER = "--userspec=65532:65532"
SERVE = ("python3", "-m", "webhook", "serve", "--config=/rules.yaml", "--host=127.0.0.1")
FREE = ("--port=0", "--operations-port=0", "--drain=0")


def measure_image() -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the image, or why there are none."""
    what = "our container image"
    if os.geteuid() != 0:
        yield what, "not measured: it takes root", ""
        return
    try:
        folder = layout()
    except ImageMissingError as error:
        yield what, f"not measured: {error}", ""
        return
    base, *ours = layers(folder)
    size, whole = sum(map(weight, ours)), weight(base) + sum(map(weight, ours))
    yield f"{what}, compressed", f"{whole / 2**20:.0f} MiB", ""
    yield "of that, without its base", f"{size / 2**20:.0f} MiB", f"× {size / whole:.2f}"
    with tempfile.TemporaryDirectory(prefix="mirrorhook-image-") as root:
        for layer in (base, *ours):
            with tarfile.open(layer) as archive:
                archive.extractall(root, filter="fully_trusted")
        Path(root).chmod(0o755)
        Path(root, "rules.yaml").write_text(RULES)
        times = [start(root) for _ in range(STARTS)]
    yield "first start in it until it is ready", f"{times[0]:.2f} s", ""
    yield (
        "every further one",
        f"{min(times[1:]):.2f} s",
        f"× {min(times[1:]) / times[0]:.2f}",
    )


def weight(path: Path) -> int:
    return path.stat().st_size


def layers(folder: Path) -> list[Path]:
    """Return the layers of the image in an OCI layout, the base first."""
    blobs = folder / "blobs/sha256"

    def content(digest: str) -> dict:
        return json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())

    (found,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    manifest = content(found["digest"])
    return [blobs / each["digest"].removeprefix("sha256:") for each in manifest["layers"]]


def start(root: str) -> float:
    """Return the seconds from the start of the webhook in the image until it is ready."""
    chroot = shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert chroot
    settings = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": "/opt/mirrorhook"}
    settings |= {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    with subprocess.Popen(
        [chroot, USER, root, *SERVE, *FREE],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = process.stderr.readline()
        passed = time.monotonic() - began
        process.terminate()
        rest = process.stderr.read()
    if not READY.search(said):
        raise SystemExit(f"the webhook does not start in its image: {said}{rest}")
    return passed
