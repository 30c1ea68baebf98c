"""Demo: sends real Pods to a real webhook over TLS, and shows the rewritten images.

python -m tests.demo
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from pathlib import Path

import yaml

from tests.server.process import ROOT, serving
from webhook.cli.output import show_table, show_text

HERE = Path(__file__).parent
COLUMNS = ("IN", "BEFORE", "AFTER", "WHY")


def review_of(pod):
    """Return the AdmissionReview that an API server sends for a new Pod."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": pod["metadata"]["namespace"],
            "object": pod,
        },
    }


def patched(response):
    """Return the new images in the patch of a response, by JSON pointer."""
    operations = json.loads(base64.b64decode(response.get("patch", "W10=")))
    return {each["path"]: each["value"] for each in operations if each["op"] == "replace"}


def images_of(spec):
    """Yield the JSON pointer, the container or volume name, and the image of each image field."""
    for field in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(field, ())):
            pointer = f"/spec/{field}/{number}/image"
            yield pointer, container["name"], container["image"]
    for number, volume in enumerate(spec.get("volumes", ())):
        pointer = f"/spec/volumes/{number}/image/reference"
        yield pointer, f"volume:{volume['name']}", volume["image"]["reference"]


def rows(pod, response):
    """Yield a row for each image: its container, the image before and after, and the reason."""
    audited = json.loads(response["auditAnnotations"]["decisions"])
    reasons = {entry["name"]: entry["reason"] for entry in audited}
    changes = patched(response)
    for pointer, name, image in images_of(pod["spec"]):
        yield name, image, changes.get(pointer, "unchanged"), reasons[name]


def main():
    """Start the webhook, send it every Pod, and show the decisions."""
    rules = HERE / "rules.yaml"
    began = time.monotonic()
    pods = [yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("pods/*.yaml"))]
    with serving(rules) as webhook:
        print(f"$ mirrorhook serve --config {rules.relative_to(ROOT)}")
        print("\n".join(webhook.said))
        for pod in pods:
            answer = webhook.review(json.dumps(review_of(pod)).encode())
            response = answer.raise_for_status().json()["response"]
            metadata = pod["metadata"]
            name = metadata.get("name") or metadata["generateName"] + "…"
            show_text(f"\nPod {metadata['namespace']}/{name}", style="bold")
            show_table(COLUMNS, [*rows(pod, response)])
            for warning in response.get("warnings", ()):
                print(f"Warning: {warning}")
    print(
        f"\n{len(pods)} Pods reviewed over TLS in {time.monotonic() - began:.1f} s, "
        "including the start and stop of the webhook."
    )
    print("Next: write your own rules (docs/rules.md) and try them: ", end="")
    print(".venv/bin/mirrorhook explain --config RULES IMAGE")


if __name__ == "__main__":
    main()
