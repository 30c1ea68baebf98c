"""Every way by which an image gets its place: which places each names, in their order.

A place is a URL without its scheme. What writes one name into a Pod has one place for an
image; what asks by itself has all of them, up to the image's own registry.
"""

from __future__ import annotations

import base64
import json
import shlex

from click.testing import CliRunner

from tests.render.evaluating import Evaluated
from tests.render.expecting import normal, url
from tests.reviews import Results, answer
from webhook.admission import Policy
from webhook.cli.explain import explain
from webhook.cli.pull import pull
from webhook.cli.rewrite import rewrite
from webhook.core import MirrorMap, parse_reference
from webhook.profiles import PROFILES

__all__ = ["CHOOSING", "by_pull", "place"]


# More of them at once are beyond what this CEL counts.
BATCH = 200


def place(image):
    return url(parse_reference(normal(image))).partition("://")[2]


def run(command, *arguments, given, **environment):
    result = CliRunner().invoke(command, arguments, input=given, env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def pod_of(images):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers},
    }


def by_the_webhook(profile, images, folder):
    request = {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}}
    request |= {"operation": "CREATE", "object": pod_of(images)}
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


def by_rewrite(profile, images, folder):
    given = json.dumps(pod_of(images))
    written = json.loads(run(rewrite, "--profile", profile, "-", given=given))
    return [[place(each["image"])] for each in written["spec"]["containers"]]


def by_explain(profile, images, folder):
    options = ("--profile", profile, "--output", "json", "-")
    said = json.loads(run(explain, *options, given="\n".join(images)))
    assert [each["image"] for each in said] == list(images)
    return [[place(each["result"])] for each in said]


def by_a_policy(profile, images, folder):
    evaluated = Evaluated(PROFILES[profile].rules)
    batches = (images[n : n + BATCH] for n in range(0, len(images), BATCH))
    found = [new for batch in batches for new in evaluated.images(batch)]
    return [[place(new or image)] for image, new in zip(images, found, strict=True)]


def by_pull(profile, images, folder):
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


CHOOSING = {
    "webhook": by_the_webhook,
    "rewrite": by_rewrite,
    "explain": by_explain,
    "policy": by_a_policy,
}
