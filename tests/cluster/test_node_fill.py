"""The CronJob of the chart fills a mirror that lacks an image, on a real node with real regsync."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack

import httpx
import pytest

from tests.cli.guides import DOCS
from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, install, running
from tests.cluster.namespaces import outside
from tests.cluster.node import ADDRESS, IDLE, REGISTRY, busybox
from tests.cluster.processes import until
from tests.cluster.programs import program
from tests.cluster.world import ENABLED, pod
from tests.copying.programs import EngineMissingError, find_program
from tests.copying.test_engines import HTPASSWD, LOGIN
from tests.copying.world import manifest_at
from tests.tools.registry import push_files, registry
from tests.tools.shell import run_command

COMMANDS = re.findall(r"^\$ (.*)$", (DOCS / "fill.md").read_text(encoding="utf-8"), re.MULTILINE)
# What tells the commands apart; the tests below run each of them.
WORDS = (
    *("create job", "kubectl wait", "kubectl logs job/", "create secret", "get cronjob,job"),
    "kubectl logs --selector",
)
REGSYNC = "regclient/regsync"
DOCKERCONFIG = "kubernetes.io/dockerconfigjson"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
ACCOUNT = f"system:serviceaccount:{NAME}:{NAME}-fill"


class Site:
    """A cluster whose mirror wants a login and is empty at first.

    Attributes:
        upstream: Address of the registry that images come from.
        mirror: Address of the mirror.
        beside: The same as the mirror, without login.
    """

    def __init__(self, node, world, upstream, mirror, beside):
        self.node, self.world = node, world
        self.upstream, self.mirror, self.beside = upstream, mirror, beside

    def push(self, name):
        return push_files(self.upstream, name, busybox(), command=IDLE)

    def type(self, words):
        """Run the command of the guide that has some words, and return its output."""
        (command,) = [command for command in COMMANDS if words in command]
        environment = self.world.plane.environment
        path = f"{program('kubectl').parent}:{environment['PATH']}"
        return run_command(
            command, folder=self.node.folder, environment=environment | {"PATH": path}
        )

    def pulls(self, repository):
        """Return the requests for manifests with which the node has pulled from the mirror."""
        wanted = f"/v2/{repository}/manifests/"
        entries = [
            json.loads(line)
            for log in self.node.folder.glob("registry-*/registry.log")
            for line in log.read_text().splitlines()
            if line.startswith("{")
        ]
        return [
            each
            for each in entries
            if each.get("http.response.status") == httpx.codes.OK
            and each["http.request.host"] == self.mirror
            and each.get("http.request.uri", "").startswith(wanted)
            and each.get("http.request.useragent", "").startswith("containerd/")
        ]

    def start(self, name):
        """Run `fill` now, and return the condition with which its Job ended."""
        self.world.plane.kubectl(
            *("create", "job", "--from", f"cronjob/{NAME}-fill", name, "--namespace", NAME)
        )
        return self.wait(name)

    def wait(self, name):
        path = namespaced("batch/v1/jobs", NAME, name)

        def ended():
            status = self.world.api.get(path)["status"]
            return {
                each["type"] for each in status.get("conditions", ()) if each["status"] == "True"
            } & {"Complete", "Failed"}

        (condition,) = until(ended, f"the end of {name}")
        return condition


@pytest.fixture(scope="module")
def site(node, node_world, installed):
    try:
        with outside():
            regsync = find_program("regsync")
    except EngineMissingError as error:
        pytest.skip(str(error))
    with ExitStack() as stack:
        blobs = node.folder / "mirror"
        upstream, mirror, beside = (
            stack.enter_context(registry(node.folder, listen=f"{ADDRESS}:0", **more))
            for more in ({}, {"blobs": blobs, "passwords": HTPASSWD}, {"blobs": blobs})
        )
        for address in (upstream, mirror):
            hosts = node.folder / "certs.d" / address / "hosts.toml"
            hosts.parent.mkdir()
            hosts.write_text(f'server = "http://{address}"\n')
        files = {"usr/local/bin/regsync": regsync.read_bytes()}
        push_files(REGISTRY, f"{REGSYNC}:test", files, command=("regsync",))
        site = Site(node, node_world, upstream, mirror, beside)
        config = json.dumps({"auths": {mirror: LOGIN}})
        (node.folder / "config.json").write_text(config)
        site.type("create secret")
        namespace = f"/api/v1/namespaces/{NAME}"
        node_world.api.patch(namespace, {"metadata": {"labels": RESTRICTED}})
        install(node, **values(upstream, mirror))
        yield site
        node_world.api.patch(namespace, {"metadata": {"labels": dict.fromkeys(RESTRICTED)}})
        install(node)


def values(upstream, mirror):
    """Return the values of the chart."""
    folder = "/etc/mirrorhook/credentials"
    target = {"target": f"{mirror}/m", "pullSecrets": ["login"]}
    return {
        "rules": [{"match": upstream, "mirrors": [target]}],
        "availability": {
            "mode": "check",
            "negativeTTL": "1s",
            "plainHTTP": [upstream, mirror],
            "credentials": [f"{folder}/.dockerconfigjson"],
        },
        "extraVolumes": [{"name": "credentials", "secret": {"secretName": "registries"}}],
        "extraVolumeMounts": [{"name": "credentials", "mountPath": folder, "readOnly": True}],
        "fill": {
            "enabled": True,
            "credentialsSecret": "registries",
            "image": {"registry": REGISTRY, "repository": REGSYNC, "tag": "test"},
            "backoffLimit": 0,
        },
    }


@pytest.fixture
def space(site):
    """A namespace that opted in, with the login for the mirror."""
    space = site.world.namespace(ENABLED)
    config = (site.node.folder / "config.json").read_text()
    secret = {"metadata": {"name": "login"}, "type": DOCKERCONFIG}
    path = namespaced("secrets", space)
    site.world.api.post(path, secret | {"stringData": {".dockerconfigjson": config}})
    return space


def test_every_command_of_the_guide_is_run():
    assert [[word for word in WORDS if word in command] for command in COMMANDS] == [
        [word] for word in WORDS
    ]


def test_image_that_the_mirror_lacks_is_filled_in_and_the_next_pod_pulls_it_from_there(site, space):
    digest = site.push("team/app:1")
    image = f"{site.upstream}/team/app:1"
    site.world.create(space, pod(image, name="first"))
    first = running(site.world, space, "first")
    assert first["spec"]["containers"][0]["image"] == image

    site.type("create job")
    site.type("kubectl wait")
    assert "team/app:1" in site.type("kubectl logs job/")
    assert manifest_at(site.beside, "m/team/app", "1")[1] == digest

    copy = f"{site.mirror}/m/team/app:1"
    site.world.wait_for(space, image, copy)
    site.world.create(space, pod(image, name="next"))
    following = running(site.world, space, "next")
    (container,) = following["spec"]["containers"]
    assert container["image"] == copy
    assert site.pulls("m/team/app")


def test_workload_that_is_scaled_to_zero_is_filled_in(site, space):
    digest = site.push("team/asleep:1")
    template = pod(f"{site.upstream}/team/asleep:1")
    labels = {"matchLabels": {"app": "asleep"}}
    template = {"metadata": {"labels": labels["matchLabels"]}, "spec": template["spec"]}
    spec = {"replicas": 0, "selector": labels, "template": template}
    path = namespaced("apps/v1/deployments", space)
    site.world.api.post(path, {"metadata": {"name": "asleep"}, "spec": spec})
    assert site.start("fill-asleep") == "Complete"
    assert manifest_at(site.beside, "m/team/asleep", "1")[1] == digest


def test_image_that_cannot_be_copied_fails_the_job_but_not_the_others(site, space):
    digest = site.push("team/good:1")
    for name in ("good:1", "missing:1"):
        image = f"{site.upstream}/team/{name}"
        site.world.create(space, pod(image, name=name.partition(":")[0]))
    assert site.start("fill-missing") == "Failed"
    assert "team/missing:1" in site.type("kubectl logs --selector")
    assert "cronjob.batch/mirrorhook-fill" in site.type("get cronjob,job")
    assert manifest_at(site.beside, "m/team/good", "1")[1] == digest


def test_service_account_may_only_list(site):
    def allowed(verb, resource):
        review = {"user": ACCOUNT, "resourceAttributes": {"verb": verb} | resource}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return site.world.api.post(path, {"spec": review})["status"]["allowed"]

    pods = {"resource": "pods", "namespace": "kube-system"}
    assert allowed("list", pods)
    assert allowed("list", {"resource": "deployments", "group": "apps"})
    for verb in ("get", "watch", "create", "delete"):
        assert not allowed(verb, pods)
    assert not allowed("list", {"resource": "secrets", "namespace": NAME})
    assert not allowed("get", {"resource": "secrets", "namespace": NAME, "name": "registries"})
