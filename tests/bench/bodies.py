"""Reviews as API servers send them, of the sizes that they have in clusters."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["IMAGES", "MARK", "REGISTRIES", "TARGETS", "make_review"]

REGISTRIES: Final = ("docker.io", "quay.io", "registry.k8s.io", "ghcr.io")
TARGETS: Final = {name: f"mirror.example.com/{name}" for name in REGISTRIES}
IMAGES: Final = (
    "nginx:1.27.2",
    "quay.io/prometheus/node-exporter:v1.8.2",
    "registry.k8s.io/ingress-nginx/controller:v1.12.1",
    "ghcr.io/acme/payments/worker:2026.11.3",
)
# Replaced by twelve digits where every image has to be new.
MARK: Final = "000000000000"

SMALL: Final = 3_000


def make_review(size: int, *, marked: bool = False) -> bytes:
    """Return a review of the creation of a Pod with four images.

    Args:
        size: Its size in bytes, from 2,000 on.
        marked: Every image has `MARK` in its tag.
    """
    whole = review(size > SMALL, marked)
    padding = size - len(encoded(whole))
    annotations = whole["request"]["object"]["metadata"]["annotations"]
    number = 0
    while padding > 0:
        key = f"config.example.com/part-{number:03}"
        room = min(padding, 600) - len(key) - len(',"":""')
        if room > 0:
            annotations[key] = ("checksum 5f3a9c " * 40)[:room]
        padding -= 600
        number += 1
    return encoded(whole)


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def review(full: bool, marked: bool) -> dict[str, Any]:
    """Return a review; a full one has what defaulting and other webhooks write into Pods."""
    images = [f"{image}-{MARK}" if marked else image for image in IMAGES]
    names = ("web", "exporter", "controller", "worker")
    containers = [
        container(name, image, full) for name, image in zip(names[1:], images[1:], strict=True)
    ]
    spec: dict[str, Any] = {
        "containers": containers,
        "initContainers": [container(names[0], images[0], full)],
        "serviceAccountName": "default",
        "restartPolicy": "Always",
    }
    if full:
        spec |= {
            "volumes": [
                {"name": "config", "configMap": {"name": "web", "defaultMode": 420}},
                {"name": "data", "emptyDir": {}},
                {"name": "token", "projected": {"defaultMode": 420, "sources": SOURCES}},
            ],
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{key}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for key in ("not-ready", "unreachable")
            ],
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "priority": 0,
            "securityContext": {"runAsNonRoot": True, "fsGroup": 2000},
        }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-6d4cf56db6-",
            "namespace": "shop",
            "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"},
            "annotations": {"kubernetes.io/psp": "restricted"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-6d4cf56db6",
                    "uid": "0c1f2ad8-7b1d-4f0e-9a59-7dd1fc11a001",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": spec,
    }
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    version = "admission.k8s.io/v1"
    return {"apiVersion": version, "kind": "AdmissionReview", "request": request}


SOURCES: Final = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca"}]}},
]


def container(name: str, image: str, full: bool) -> dict[str, Any]:
    """Return a container as a Deployment of a shop has it."""
    least: dict[str, Any] = {"name": name, "image": image}
    if not full:
        return least
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    return least | {
        "command": ["/usr/local/bin/start"],
        "args": ["--config=/etc/config/app.yaml", "--verbosity=2"],
        "env": [
            {"name": "MODE", "value": "production"},
            {
                "name": "POD_NAME",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
            },
        ],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {
            "limits": {"cpu": "500m", "memory": "256Mi"},
            "requests": {"cpu": "100m", "memory": "128Mi"},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/config"},
            {"name": "data", "mountPath": "/data"},
        ],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
