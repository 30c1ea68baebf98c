"""What `rewrite` takes of time and memory, against reading the same file and no more.

python -m tests.bench rewrite     # for some minutes
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from tests.bench.contest import Bound

MOST, MOST_MEMORY = 6, 1.25
SMALL, LARGE = 5, 50
ROUNDS = 3
RULES = (
    "rules: [{match: docker.io, mirrors: [m.example/hub]},"
    " {match: quay.io, mirrors: [m.example/quay]}]\n"
)
SCAN = (
    "import sys, yaml\n"
    "with open(sys.argv[1]) as file:\n"
    "    text = file.read()\n"
    "for _ in yaml.parse(text, Loader=yaml.CSafeLoader):\n"
    "    pass\n"
)
DOCUMENT = """\
# Source: shop/templates/deployment-{n}.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{n}
  namespace: shop
  labels:
    app.kubernetes.io/name: web
    app.kubernetes.io/instance: web-{n}
  annotations:
    checksum/config: "4f3c2d1e0b9a87654321fedcba9876543210"
spec:
  replicas: 3
  selector:
    matchLabels: {{app: web-{n}}}
  template:
    metadata:
      labels:
        app: web-{n}
    spec:
      initContainers:
        - name: init
          image: busybox:1.36
          command: ["sh", "-c", "echo hello"]
      containers:
        - name: web
          image: "quay.io/team/web:{n}"
          env:
            - name: MODE
              value: production
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
          ports:
            - containerPort: 8080
          resources:
            limits: {{cpu: 500m, memory: 256Mi}}
            requests: {{cpu: 100m, memory: 128Mi}}
      volumes:
        - name: config
          configMap:
            name: web-{n}
---
"""


def manifests(folder, megabytes):
    """Write a file of Deployments of that size."""
    path, size, number = folder / f"{megabytes}.yaml", 0, 0
    with path.open("w") as file:
        while size < megabytes * 1_000_000:
            size += file.write(DOCUMENT.format(n=number))
            number += 1
    return path


def usage(*arguments):
    """Processor time of a Python process in seconds, and the most memory that it had in MiB."""
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def contest(path, rules):
    """Scan a file and rewrite it, in turns; return the medians: seconds, ratio and memory."""
    command = ("-m", "webhook", "rewrite", "--config", rules, path)
    turns = [(*usage("-c", SCAN, path), *usage(*command)) for _ in range(ROUNDS)]
    ratios = [rewritten / scanned for scanned, _, rewritten, _ in turns]
    scanned, _, rewritten, memory = map(statistics.median, zip(*turns, strict=True))
    return scanned, rewritten, statistics.median(ratios), memory


def figures(folder):
    """Yield what has to hold of rewriting a large file."""
    rules = folder / "rewriting-rules.yaml"
    rules.write_text(RULES)
    memories = []
    for megabytes in (SMALL, LARGE):
        path = manifests(folder, megabytes)
        scanned, rewritten, ratio, memory = contest(path, rules)
        memories.append(memory)
        path.unlink()
    name = f"rewrite of {LARGE} MB ({rewritten:.1f} s), to the event scan ({scanned:.1f} s)"
    yield Bound(name, ratio, MOST)
    name = f"its memory ({memory:.0f} MiB), to that for {SMALL} MB"
    yield Bound(name, memories[1] / memories[0], MOST_MEMORY)
