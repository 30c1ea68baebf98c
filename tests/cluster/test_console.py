"""The console on a real API server: Pods by their names, and the causes that doctor has."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
import yaml

from tests.cluster.api import namespaced
from tests.cluster.control_plane import control_plane
from tests.cluster.doctoring import doctored
from tests.cluster.processes import until
from tests.cluster.release import released
from tests.cluster.world import ENABLED, MIRROR, RULES, pod

NAME = "mirrorhook-console"
PAGE = Path(__file__).resolve().parents[2] / "docs/console.md"
NAMESPACES, REPLICAS, PICKED = 200, 50, 20
# Image, and what the page says of it.
IMAGES = (
    ("nginx:1.27", f"Rewritten: rule docker.io → {MIRROR}/hub"),
    ("quay.io/our/app:2", "Not changed: rule quay.io/our keeps it"),
    ("r.example/app:3", "Not changed: no rule matches r.example/app"),
    (f"{MIRROR}/hub/x:4", "Not changed: it is already at a mirror of rule docker.io"),
    ("Nginx:5", "Not changed: the repository 'Nginx' must be in lower case"),
)


def read_page(replica, text):
    """Return the text of each Pod on the page, in order, and the text of the whole page."""
    answered = replica.ask(f"/?lang=en&text={text}")
    assert answered.is_success, answered.text
    articles = re.findall(r"<article.*?</article>", answered.text, re.DOTALL)
    return [read_html(each) for each in articles], read_html(answered.text)


def read_html(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def deployment(name, image, replicas):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(image)["spec"]},
        },
    }


# -- Ten kinds of Pods that are not rewritten


VALUES = {
    "rules": RULES,
    "selection": {"excludedNamespaces": ["console-excluded"]},
    "policies": {
        "watched": {
            "mode": "observe",
            "rules": RULES,
            "selection": {"mode": "listed", "namespaces": ["console-watched"]},
        }
    },
}
SPACES = {"console-space": ENABLED, "console-excluded": ENABLED, "console-plain": {}}
SPACES["console-watched"] = {}
OUT = {"mirrorhook.io/rewrite": "disabled"}


def labelled(image, **metadata):
    return pod(image) | {"metadata": {"name": "web", **metadata}}


# Namespace, Pod, and the words in which both say the cause.
KINDS = {
    "unmatched": ("console-space", pod("r.example/a"), "no rule matches r.example/a"),
    "kept": ("console-space", pod("quay.io/our/a"), "rule quay.io/our keeps it"),
    "mirrored": (
        "console-space",
        pod(f"{MIRROR}/hub/a"),
        "it is already at a mirror of rule docker.io",
    ),
    "invalid": ("console-space", pod("Nginx"), "the repository 'Nginx' must be in lower case"),
    "local": (
        "console-space",
        pod()
        | {"spec": {"containers": [{"name": "c0", "image": "a", "imagePullPolicy": "Never"}]}},
        "its pull policy is Never",
    ),
    "observed": ("console-watched", pod("nginx"), "mode observe"),
    "label": (
        "console-space",
        labelled("nginx", labels=OUT),
        "its label mirrorhook.io/rewrite is disabled",
    ),
    "annotation": (
        "console-space",
        labelled("nginx", annotations=OUT),
        "its annotation mirrorhook.io/rewrite is disabled",
    ),
    "operator": (
        "console-space",
        labelled("nginx", labels={"cnpg.io/podRole": "instance"}),
        "label cnpg.io/podRole must not be instance",
    ),
    "not-labelled": (
        "console-plain",
        pod("nginx"),
        "label mirrorhook.io/rewrite must be enabled, but is missing",
    ),
    "excluded": (
        "console-excluded",
        pod("nginx"),
        "label kubernetes.io/metadata.name must not be",
    ),
    "no-pod": ("console-space", None, "there is no Pod console-space/no-pod"),
}


@pytest.fixture(scope="module")
def console(plane, world):
    """A release with a replica that may read namespaces and Pods, and the Pods of all kinds."""
    with released(plane, VALUES, name=NAME) as release:
        block = next(
            each
            for each in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
            if "mirrorhook-console" in each
        )
        for each in yaml.safe_load_all(block):
            for subject in each.get("subjects", ()):
                subject |= {"name": NAME, "namespace": NAME}
            kind = each["kind"].lower() + "s"
            plane.api.post(f"/apis/rbac.authorization.k8s.io/v1/{kind}", each)
        for name, labels in SPACES.items():
            world.namespace(labels, name)
        world.wait_for("console-space", "nginx", f"{MIRROR}/hub/library/nginx")
        for kind, (space, given, _) in KINDS.items():
            if given:
                metadata = {**given["metadata"], "name": kind}
                world.create(space, {**given, "metadata": metadata})
        yield release


@pytest.mark.parametrize("kind", KINDS)
def test_console_and_doctor_have_the_same_cause(plane, console, kind):
    space, _, cause = KINDS[kind]
    (replica,) = console.replicas
    _, page = read_page(replica, f"{space}/{kind}")
    assert cause in page
    _, findings = doctored(plane, "pod", f"{space}/{kind}")
    assert cause in "; ".join(each["message"] for each in findings)


# -- Deployments in many namespaces


def test_twenty_of_ten_thousand_pods_are_found_by_their_kubectl_names(programs):
    with control_plane() as plane, released(plane, {"rules": RULES}, name=NAME) as release:
        api = plane.api

        def deploy(number):
            space, (image, _) = f"team-{number}", IMAGES[number % len(IMAGES)]
            api.post("/api/v1/namespaces", {"metadata": {"name": space, "labels": ENABLED}})
            path = namespaced("apps/v1/deployments", space)
            api.post(path, deployment(f"web-{number}", image, REPLICAS))

        def count():
            found = api.get("/api/v1/pods", limit="1")
            return len(found["items"]) + found["metadata"].get("remainingItemCount", 0)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(deploy, range(NAMESPACES)))
        until(lambda: count() >= NAMESPACES * REPLICAS, "all Pods", 900)
        (replica,) = release.replicas
        for number in random.sample(range(NAMESPACES), PICKED):
            picked = random.choice(api.get(namespaced("pods", f"team-{number}"))["items"])
            name, reason = picked["metadata"]["name"], IMAGES[number % len(IMAGES)][1]
            for text in (name, f"team-{number}/{name}"):
                (article, *others), page = read_page(replica, text)
                assert not others
                assert article.startswith(f"team-{number}/{name} ")
                assert f"Owner Deployment/web-{number} " in article
                assert reason in article
            assert re.search(r"As of 20\d\d-", page)
            assert "The API server called the webhook for this namespace" in page
