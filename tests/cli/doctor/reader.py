"""A cluster in memory that can only be read."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.kube import ForbiddenError, NotFoundError, UnavailableError
from webhook.tls.ca import create_self_signed

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PAIR, AUTHORITY = create_self_signed(["mirrorhook.mirrorhook.svc"], now=NOW)
RULES = """\
rules:
  - {match: docker.io, mirrors: [m.example/hub]}
  - {match: quay.io/our, keep: true}
"""
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
SELECTOR = {"app": "webhook"}
ENABLED = {"mirrorhook.io/rewrite": "enabled"}
CREATED = "2026-11-20T00:00:00Z"


class MemoryReader:
    """Attributes:
    objects: Objects by path.
    lists: Collections by path.
    others: Webhook configurations that are not ours.
    pages: Status and text of the pages of Pods, by path.
    tried: Gives the image that a Pod of an image gets; or raises.
    tried_pods: The Pods that were tried.
    texts: Texts by path; a function is called for each.
    forbidden: Parts of paths that may not be read.
    denied: What service accounts may not do.
    served: What every replica serves with; an error is raised.
    ahead: Seconds that our clock is ahead.
    """

    host = "https://api.example"

    def __init__(self):
        namespace = "/api/v1/namespaces/mirrorhook"
        self.objects = {
            "/version": {"gitVersion": "v1.37.2"},
            f"{namespace}/services/mirrorhook": {"spec": {"selector": SELECTOR}},
            "/api/v1/namespaces/shop": {"metadata": {"labels": ENABLED}},
            "/api/v1/namespaces/other": {"metadata": {}},
        }
        self.lists = {
            CONFIGURATIONS: [configuration()],
            f"{namespace}/pods": [replica("mirrorhook-1", READY)],
            f"{namespace}/configmaps": [rules(RULES)],
        }
        self.others = []
        self.pages = {}
        self.tried = lambda image: image.replace("docker.io", "m.example/hub")
        self.tried_pods = []
        self.texts = {}
        self.queries = []
        self.forbidden = ()
        self.denied = set()
        self.served = PAIR.chain
        self.ahead = 0.2

    def get(self, path):
        self.check(path)
        return self.objects.get(path)

    def check(self, path):
        if any(part in path for part in self.forbidden):
            raise ForbiddenError(f"cannot get {path}: you may not")

    def get_text(self, path, query=None):
        self.check(path)
        self.queries.append((path, query))
        if path not in self.texts:
            raise UnavailableError(f"cannot get {path}")
        text = self.texts[path]
        return text() if callable(text) else text

    def is_allowed(self, user, verb, resource, group, name):
        return (user, verb, resource) not in self.denied

    def list(self, path, selector=""):
        self.check(path)
        if path == CONFIGURATIONS and "!=" in selector:
            return self.others
        return self.lists.get(path, [])

    def iterate(self, path):
        self.check(path)
        if path not in self.lists:
            raise NotFoundError(f"cannot list {path}")
        return iter(self.lists[path])

    def measure_clock_skew(self):
        return self.ahead

    def get_pod_page(self, namespace, pod, port, path):
        if path not in self.pages:
            raise UnavailableError(f"cannot read {path}")
        return self.pages[path]

    def dry_run_pod(self, namespace, pod):
        self.tried_pods.append(pod)
        container = pod["spec"]["containers"][0]
        return {"spec": {"containers": [{**container, "image": self.tried(container["image"])}]}}

    def get_pod_certificate(self, namespace, pod, port, host, ca_bundle):
        served = self.served.pop(0) if isinstance(self.served, list) else self.served
        if isinstance(served, Exception):
            raise served
        return served


def configuration(**changes):
    """Our webhook configuration as the API server returns it."""
    service = {"name": "mirrorhook", "namespace": "mirrorhook", "path": "/mutate"}
    bundle = base64.b64encode(AUTHORITY).decode()
    webhook = {
        "name": "default.mirrorhook.io",
        "clientConfig": {"service": service, "caBundle": bundle},
        "rules": [{"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}],
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "namespaceSelector": {"matchLabels": ENABLED},
        "objectSelector": {
            "matchExpressions": [
                {"key": "cnpg.io/podRole", "operator": "NotIn", "values": ["instance"]}
            ]
        },
    }
    created = "2026-11-01T00:00:00Z"
    metadata = {"name": "mirrorhook.mirrorhook", "creationTimestamp": created}
    metadata["annotations"] = helm("mirrorhook")
    return {"metadata": metadata, "webhooks": [{**webhook, **changes}]}


def helm(name, namespace="mirrorhook"):
    """The annotations of Helm."""
    return {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}


def rules(text, name="mirrorhook-rules"):
    """A ConfigMap with rules."""
    return {"metadata": {"name": name}, "data": {"rules.yaml": text}}


def replica(name, status):
    """A Pod of the webhook."""
    ports = [{"name": "webhook", "containerPort": 9443}]
    return {
        "metadata": {"name": name, "namespace": "mirrorhook"},
        "spec": {"containers": [{"name": "webhook", "ports": ports}]},
        "status": status,
    }


def deployment(*arguments, replicas=2, secret=""):
    """The Deployment of the webhook."""
    volumes = [{"name": "tls", "secret": {"secretName": secret}}] if secret else []
    spec = {
        "serviceAccountName": "mirrorhook",
        "containers": [{"name": "webhook", "args": list(arguments)}],
        "volumes": volumes,
    }
    return {
        "metadata": {"name": "mirrorhook", "namespace": "mirrorhook"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": SELECTOR},
            "template": {"spec": spec},
        },
    }


def pod(*images, annotations=None, labels=None, namespace="shop", created=CREATED):
    """A Pod with one container per image."""
    metadata = {"name": "web", "namespace": namespace, "creationTimestamp": created}
    metadata |= {"annotations": annotations or {}, "labels": labels or {}}
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"metadata": metadata, "spec": {"containers": containers}}


def recorded(**originals):
    return {"mirrorhook.io/original-images": json.dumps(originals)}
