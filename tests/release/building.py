"""Builds everything of a release into a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.copying.programs import find_program
from tests.generate.manifests import generate_cert_manager, generate_self_managed
from tests.image.base import Package, read_packages
from tests.image.building import ARCHITECTURES, Builder
from tests.release.bills import describe_image, describe_wheel
from tests.release.layouts import archive_layout, combine_platforms
from tests.release.plugin import package_plugin
from tests.release.provenance import hash_file, state_provenance
from tests.release.sources import Release, stage_sources
from tests.tools.helm import helm4

__all__ = ["SUMS", "Built", "build_release", "run_regctl"]

SUMS = "SHA256SUMS"
HELM = "application/vnd.cncf.helm."
SOURCE = "https://github.com/mirrorhook/mirrorhook"


@dataclass(frozen=True, slots=True)
class Built:
    """A release that has been built.

    Attributes:
        release: The release.
        folder: The folder with its files.
        sources: The sources, with its version in them.
        image: OCI layout with the image.
        chart: OCI layout with the chart.
        digests: Digests of the image by architecture, and of ``index`` and ``chart``.
    """

    release: Release
    folder: Path
    sources: Path
    image: Path
    chart: Path
    digests: dict[str, str]

    def file(self, ending: str) -> Path:
        """Return the file of the release with an ending."""
        return self.folder / f"mirrorhook-{self.release.version}{ending}"


def build_release(
    release: Release, folder: Path, work: Path, report: Callable[[str], None]
) -> Built:
    """Build a release.

    Args:
        release: The release.
        folder: An empty folder for its files.
        work: An empty folder for everything else, which is needed to publish it.
        report: Called with what is done next.
    """
    sources, image, chart = work / "sources", work / "image", work / "chart"
    report("staging the sources")
    stage_sources(release, sources)
    report("building the Python packages")
    build_packages(release, sources, folder)
    report("packaging the chart and rendering the manifests")
    (folder / "install.yaml").write_text(generate_self_managed(sources / "charts/mirrorhook"))
    (folder / "install-cert-manager.yaml").write_text(
        generate_cert_manager(sources / "charts/mirrorhook")
    )
    chart_digest = package_chart(release, sources, folder, chart)
    package_plugin(release, sources, folder)
    built = Built(release, folder, sources, image, chart, {"chart": chart_digest})
    wheel = describe_wheel(release, sources)
    write_json(built.file(".cdx.json"), wheel)
    packages: set[Package] = set()
    builder = Builder(work / "store")
    for architecture in ARCHITECTURES:
        report(f"building the image for {architecture}")
        name = f"localhost/mirrorhook:{architecture}"
        builder.build(
            name,
            context=sources,
            architecture=architecture,
            epoch=release.epoch,
            VERSION=release.version,
            REVISION=release.commit,
        )
        digest = builder.push(name, image, architecture)
        with builder.mounted(name, architecture) as files:
            packages |= set(read_packages(files))
            bill = describe_image(release, wheel, files, digest)
        write_json(built.file(f"-image-{architecture}.cdx.json"), bill)
    report("writing the archive of the image, provenance and checksums")
    annotations = {
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.revision": release.commit,
        "org.opencontainers.image.version": release.version,
    }
    built.digests.update(combine_platforms(image, release.image, release.version, annotations))
    archive_layout(image, built.file("-image.tar"), release.epoch)
    files = sorted(folder.iterdir())
    named = {f"{release.chart}:{release.version}": built.digests["chart"]}
    named |= {
        f"{release.image}:{release.version}" + ("" if key == "index" else f" ({key})"): digest
        for key, digest in built.digests.items()
        if key != "chart"
    }
    write_json(built.file(".intoto.json"), state_provenance(release, files, named, packages))
    lines = [f"{hash_file(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))
    return built


def build_packages(release: Release, sources: Path, folder: Path) -> None:
    """Build the wheel and the source archive."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, sources],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(release.epoch)},
        check=True,
        capture_output=True,
        text=True,
    )


def package_chart(release: Release, sources: Path, folder: Path, layout: Path) -> str:
    """Package the chart, write it to an OCI layout too, and return its digest there.

    `helm push` would add the current time to the manifest in the registry.
    """
    chart = sources / "charts/mirrorhook"
    subprocess.run(
        [helm4(), "package", chart, "--destination", folder], check=True, capture_output=True
    )
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    config = layout.parent / "chart.json"
    write_json(config, metadata)
    annotations = {
        "org.opencontainers.image.title": metadata["name"],
        "org.opencontainers.image.description": metadata["description"],
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.revision": release.commit,
    }
    name = f"ocidir://{layout}:{release.version}"
    run_regctl(
        *("artifact", "put", "--config-type", f"{HELM}config.v1+json", "--config-file", config),
        *("--file", folder / f"mirrorhook-{release.version}.tgz"),
        *("--file-media-type", f"{HELM}chart.content.v1.tar+gzip"),
        *(f"--annotation={key}={value}" for key, value in annotations.items()),
        name,
    )
    return run_regctl("image", "digest", name)


def run_regctl(*arguments: str | Path) -> str:
    """Run regctl and return its output."""
    done = subprocess.run(
        [find_program("regctl"), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"regctl {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout.strip()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
