"""Take the pictures of the console in the documentation: `python -m tests.site.screenshots`.

A real webhook is asked for reviews, and Chromium (Debian: chromium) paints its page.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server.process import Webhook, serving

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
SIZE = (1280, 1100)
RULES = """\
profiles: [bitnami-legacy]
rules:
  - {match: docker.io, mirrors: [harbor.example.com/dockerhub]}
  - {match: registry.k8s.io, mirrors: [harbor.example.com/k8s]}
  - {match: quay.io, mirrors: [harbor.example.com/quay]}
  - {match: quay.io/our-team, keep: true}
"""
PODS = (
    ("shop", "web-7d4b9c6f5-x2x7k", "nginx:1.27", "quay.io/prometheus/node-exporter:v1.9.1"),
    ("shop", "cache-0", "bitnami/redis:7.2"),
    ("shop", "migrate-28rkq", "quay.io/our-team/migrate:14"),
    ("monitoring", "grafana-5b8d7c-l9wzp", "grafana/grafana:12.1.0"),
    ("monitoring", "coredns-6f7dd-8kq2v", "registry.k8s.io/coredns/coredns:v1.13.1"),
    ("ci", "runner-x4tq9", "ghcr.io/acme/runner:3"),
    ("ci", "build-91", "harbor.example.com/dockerhub/library/golang:1.26"),
)  # fmt: skip


def ask_for_reviews(webhook: Webhook) -> None:
    """Send a review for each Pod."""
    for number, (namespace, name, *images) in enumerate(PODS):
        containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
        metadata = {"name": name, "namespace": namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        request = {
            "uid": f"00000000-0000-0000-0000-{number:012}",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": namespace,
            "name": name,
            "object": pod | {"spec": {"containers": containers}},
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        webhook.review(json.dumps(review | {"request": request}).encode())


def take(folder: Path) -> list[Path]:
    """Take the pictures, in English and light, and in Chinese and dark.

    Raises:
        SystemExit: Chromium is not here.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("Chromium is not here: apt-get install chromium")
    pictures = []
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch, "rules.yaml")
        rules.write_text(RULES)
        with serving(rules) as webhook:
            ask_for_reviews(webhook)
            for language, scheme in (("en", "1"), ("zh", "0")):
                picture = folder / f"console-{language}.png"
                query = f"lang={language}&image=bitnami/redis:7.2"
                command = [
                    *(program, "--headless=new", "--no-sandbox", "--disable-gpu"),
                    *("--hide-scrollbars", f"--user-data-dir={scratch}/{language}"),
                    f"--blink-settings=preferredColorScheme={scheme}",
                    f"--window-size={SIZE[0]},{SIZE[1]}",
                    f"--screenshot={picture}",
                    f"{webhook.operations}/?{query}",
                ]
                subprocess.run(command, check=True, capture_output=True, timeout=60)
                pictures.append(picture)
    return pictures


if __name__ == "__main__":
    for path in take(Path(sys.argv[1]) if sys.argv[1:] else IMAGES):
        print(path)
