"""Demo on a cluster: installs the chart, and runs Pods whose images come from the mirror.

python -m tests.cluster
"""

from __future__ import annotations

import json
import sys
import time

from tests.cluster.api import namespaced
from tests.cluster.node import REGISTRY, Node, cluster_with_node, prepare
from tests.cluster.own_image import ImageMissingError, layout
from tests.cluster.packages import missing
from tests.cluster.processes import until
from tests.cluster.release import CHART
from tests.cluster.world import ENABLED, World, images, pod
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError, helm4
from tests.tools.registry import push_layout
from webhook.cli.output import show_table, show_text

IMAGES = {
    "nginx": "hub/library/nginx:latest",
    "bitnami/redis:7.4.2": "hub/bitnamilegacy/redis:7.4.2",
    "registry.k8s.io/ingress-nginx/controller:v1.13": "k8s/ingress-nginx/controller:v1.13",
    "gcr.io/distroless/static:nonroot": "gcr/distroless/static:nonroot",
    "quay.io/prometheus/node-exporter:v1.9.1": "quay/prometheus/node-exporter:v1.9.1",
}
RULES = [
    {"match": "docker.io/bitnami", "mirrors": ["docker.io/bitnamilegacy"]},
    {"match": "docker.io", "mirrors": [f"{REGISTRY}/hub"]},
    {"match": "registry.k8s.io", "mirrors": [f"{REGISTRY}/k8s"]},
    {"match": "gcr.io", "mirrors": [f"{REGISTRY}/gcr"]},
    {"match": "quay.io", "mirrors": [f"{REGISTRY}/quay"]},
]
NAME = "mirrorhook"


class Steps:
    """Prints what is being done, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began:5.1f} s  {what}\n")
        sys.stderr.flush()


def install(node: Node) -> None:
    """Install the chart and wait until the webhook is ready."""
    values = {
        "image": {"registry": REGISTRY, "repository": "mirrorhook", "tag": "demo"},
        "rules": RULES,
    }
    file = node.folder / "values.json"
    file.write_text(json.dumps(values))
    command = (helm4(), "install", NAME, CHART, "--namespace", NAME, "--create-namespace")
    node.plane.run(*command, "--values", file, "--wait", "--timeout", "300s")


def deployed(world: World) -> dict:
    """Create a Deployment in a namespace that opts in, and return its running Pod."""
    space = world.namespace(ENABLED, "shop")
    spec = pod(*IMAGES)["spec"]
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": spec}
    given = {"selector": {"matchLabels": {"app": "shop"}}, "template": template}
    path = namespaced("apps/v1/deployments", space)
    world.api.post(path, {"metadata": {"name": "shop"}, "spec": given})
    (found,) = world.pods(space)
    path = namespaced("pods", space, found["metadata"]["name"])
    until(lambda: world.api.get(path)["status"]["phase"] == "Running", "the Pod")
    return world.api.get(path)


def reasons(node: Node, namespace: str) -> dict[str, str]:
    """Return the reason for the image of each container, from the audit log."""
    for line in (node.plane.folder / "audit.log").read_text().splitlines():
        event = json.loads(line)
        decisions = event.get("annotations", {}).get("default.mirrorhook.io/decisions")
        if decisions and event["objectRef"]["namespace"] == namespace:
            return {each["name"]: each["reason"] for each in json.loads(decisions)}
    return {}


def main() -> None:
    """Run the demo."""
    step = Steps()
    if missing():
        sys.exit(f"first: apt-get install --no-install-recommends {' '.join(missing())}")
    try:
        prepare()
        ours = layout()
        helm4()
    except (GoMissingError, HelmMissingError, ImageMissingError) as error:
        sys.exit(str(error))
    step("starting a control plane and a node")
    with cluster_with_node() as node:
        step(f"filling the mirror, a registry at {REGISTRY}")
        for image in IMAGES.values():
            node.push(image)
        push_layout(REGISTRY, "mirrorhook:demo", ours)
        step(f"helm install {NAME} charts/mirrorhook --wait")
        install(node)
        step("creating a Deployment in a namespace with mirrorhook.io/rewrite: enabled")
        found = deployed(World(node.plane))
        step("its Pod runs")
        statuses = found["status"]["containerStatuses"]
        pulled = {each["name"]: each["imageID"] for each in statuses}
        why = reasons(node, "shop")
        after = images(found)
        rows = [
            (before, after[name], pulled[name].partition("/")[0], why[name])
            for name, before in zip(sorted(after), IMAGES, strict=True)
        ]
        show_text("\nDeployment shop/shop", style="bold")
        show_table(("BEFORE", "AFTER", "PULLED FROM", "WHY, BY THE AUDIT LOG"), rows)
        step("taking everything down")
    step("nothing is left")


if __name__ == "__main__":
    main()
