"""The places of images according to each part of mirrorhook.

A place is a URL without its scheme. A part that writes a name into a Pod has one place for
an image; `pull` tries all of them, up to the registry of the image.
"""

from __future__ import annotations

import base64
import json
import shlex

from click.testing import CliRunner

from tests.render.expectations import normal, url
from tests.render.policy_evaluator import PolicyEvaluator
from tests.reviews import Results, answer
from webhook.admission import Policy
from webhook.cli.explain import explain
from webhook.cli.pull import pull
from webhook.cli.rewrite import rewrite
from webhook.core import MirrorMap, parse_reference
from webhook.profiles import PROFILES

# This CEL fails with more images at once.
BATCH = 200
# More images in one Pod stay unchanged.
POD = 100


def place(image):
    return url(parse_reference(normal(image))).partition("://")[2]


def run(command, *arguments, given, **environment):
    result = CliRunner().invoke(command, arguments, input=given, env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def make_pod(images):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers},
    }


def run_webhook(profile, images, folder):
    batches = (images[n : n + POD] for n in range(0, len(images), POD))
    return [found for batch in batches for found in review_images(profile, batch)]


def review_images(profile, images):
    request = {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}}
    request |= {"operation": "CREATE", "object": make_pod(images)}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    rules = Policy("default", MirrorMap(PROFILES[profile].rules).decide)
    body = json.dumps(review | {"request": request}).encode()
    recorder = Results()
    response = json.loads(answer(body, rules, recorder))["response"]
    assert not recorder.errors
    found = dict(enumerate(images))
    for operation in json.loads(base64.b64decode(response.get("patch", "W10="))):
        if operation["op"] == "replace":
            found[int(operation["path"].split("/")[3])] = operation["value"]
    return [[place(image)] for image in found.values()]


def run_rewrite(profile, images, folder):
    given = json.dumps(make_pod(images))
    written = json.loads(run(rewrite, "--profile", profile, "-", given=given))
    return [[place(each["image"])] for each in written["spec"]["containers"]]


def run_explain(profile, images, folder):
    options = ("--profile", profile, "--output", "json", "-")
    said = json.loads(run(explain, *options, given="\n".join(images)))
    assert [each["image"] for each in said] == list(images)
    return [[place(each["result"])] for each in said]


def evaluate_policy(profile, images, folder):
    evaluated = PolicyEvaluator(PROFILES[profile].rules)
    batches = (images[n : n + BATCH] for n in range(0, len(images), BATCH))
    found = [new for batch in batches for new in evaluated.images(batch)]
    return [[place(new or image)] for image, new in zip(images, found, strict=True)]


def run_pull(profile, images, folder):
    (folder / "docker").write_text("")
    (folder / "docker").chmod(0o755)
    known = dict.fromkeys(map(normal, images))  # an image is pulled once
    options = ("--profile", profile, "--engine", "docker", "--dry-run", "-")
    script = run(pull, *options, given="\n".join(known), PATH=str(folder))
    orders = []
    for line in script.splitlines():
        if line.startswith("docker pull "):
            orders.append([place(shlex.split(line)[2])])
        elif line.startswith("# or from "):
            orders[-1].append(place(line.rpartition(" ")[2]))
    found = dict(zip(known, orders, strict=True))
    return [found[normal(image)] for image in images]


REWRITERS = {
    "webhook": run_webhook,
    "rewrite": run_rewrite,
    "explain": run_explain,
    "policy": evaluate_policy,
}
