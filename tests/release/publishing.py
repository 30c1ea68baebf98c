"""Pushes a release to a registry: image, chart, bills of materials, provenance and signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.image.building import ARCHITECTURES
from tests.release.building import Built, run_regctl
from tests.release.provenance import PREDICATE
from tests.release.signing import Signer

__all__ = ["CYCLONEDX", "IN_TOTO", "publish_release"]

CYCLONEDX = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"
HUB = "application/vnd.cncf.artifacthub."
# As other programs do, registries on this machine are used without TLS.
LOCAL = ("127.0.0.1", "localhost")


def publish_release(built: Built, signer: Signer | None, report: Callable[[str], None]) -> None:
    """Push a release, with signatures if there is a signer."""
    release = built.release
    host = release.destination.partition("/")[0]
    options = [f"--host=reg={host},tls=disabled"] if host.partition(":")[0] in LOCAL else []

    def regctl(*arguments: str | Path) -> None:
        run_regctl(*options, *arguments)

    def attach(kind: str, subject: str, file: Path) -> None:
        regctl("artifact", "put", f"--artifact-type={kind}", f"--file={file}", "--subject", subject)

    image = f"{release.image}@{built.digests['index']}"
    chart = f"{release.chart}@{built.digests['chart']}"
    report(f"pushing {release.image}:{release.version}")
    source = f"ocidir://{built.image}:{release.version}"
    regctl("image", "copy", source, f"{release.image}:{release.version}")
    attach(IN_TOTO, image, built.file(".intoto.json"))
    for architecture in ARCHITECTURES:
        subject = f"{release.image}@{built.digests[architecture]}"
        attach(CYCLONEDX, subject, built.file(f"-image-{architecture}.cdx.json"))
    report(f"pushing {release.chart}:{release.version}")
    source = f"ocidir://{built.chart}:{release.version}"
    regctl("image", "copy", source, f"{release.chart}:{release.version}")
    regctl(
        *("artifact", "put", f"--config-type={HUB}config.v1+yaml", "--config-file=/dev/null"),
        f"--file-media-type={HUB}repository-metadata.layer.v1.yaml",
        f"--file={built.sources / 'charts/artifacthub-repo.yml'}",
        f"{release.chart}:artifacthub.io",
    )
    if signer is None:
        return
    report("signing image and chart")
    signer.sign(image)
    signer.sign(chart)
    provenance = json.loads(built.file(".intoto.json").read_text())
    predicate = built.sources.parent / "predicate.json"
    predicate.write_text(json.dumps(provenance["predicate"]))
    signer.attest(image, PREDICATE, predicate)
    signer.attest(chart, PREDICATE, predicate)
    for architecture in ARCHITECTURES:
        subject = f"{release.image}@{built.digests[architecture]}"
        signer.attest(subject, "cyclonedx", built.file(f"-image-{architecture}.cdx.json"))
