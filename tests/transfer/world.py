"""Registries, images in them, and `mirrorhook copy` between them."""

from __future__ import annotations

import json
import os
from functools import partial
from unittest.mock import patch

from click.testing import CliRunner

from tests.tools import loopback
from tests.tools.registry import (
    ACCEPTED,
    MANIFEST,
    manifest_url,
    push_blob,
    push_files,
    push_manifest,
)
from webhook.cli.copy import copy
from webhook.cli.copying import run
from webhook.transfer.patience import Patience

EMPTY = "application/vnd.oci.empty.v1+json"
MIB = 1024 * 1024
# As many attempts as ever, with pauses that nobody waits for.
HASTE = partial(Patience, pause=0.01)


class World:
    """An upstream registry, a mirror, and rules that lead from one to the other.

    Attributes:
        upstream: Address of the first.
        mirror: Address of the second.
        rules: Path of the rules file.
        plain: Those of them that have no TLS.
    """

    def __init__(self, folder, upstream, mirror, *, settings="", plain=None):
        self.upstream, self.mirror, self.folder = upstream, mirror, folder
        self.plain = (upstream, mirror) if plain is None else plain
        self.rules = folder / f"rules-{os.urandom(4).hex()}.yaml"
        self.rules.write_text(
            f'rules: [{{match: "{upstream}", mirrors: ["{mirror}/m"]}}]\n{settings}'
        )

    def run(self, *arguments, stdin=None):
        """Run the command; names without a registry are those of upstream."""
        words = [
            f"{self.upstream}/{each[1:]}" if str(each).startswith("=") else str(each)
            for each in arguments
        ]
        plain = [f"--plain-http={host}" for host in self.plain]
        command = ["-c", str(self.rules), *plain, *words]
        with patch.object(run, "Patience", HASTE):
            return CliRunner(env=loopback.NO_CAS).invoke(
                copy, command, input=stdin, catch_exceptions=False
            )

    def json(self, *arguments, **options):
        result = self.run(*arguments, "-o", "json", **options)
        return json.loads(result.stdout)


def manifest_at(address, repository, reference):
    """The manifest that goes by a name, and its digest; None where there is none."""
    reply = loopback.get(manifest_url(address, repository, reference), headers=ACCEPTED)
    if reply.status_code == 404:
        return None, ""
    reply.raise_for_status()
    return reply.json(), reply.headers["Docker-Content-Digest"]


def blob_at(address, repository, digest):
    return loopback.get(f"http://{address}/v2/{repository}/blobs/{digest}")


def push_large(address, name, size=10 * MIB):
    """Put an image with a layer of several chunks into a registry, and return the digest of
    its manifest.
    """
    files = {"data": os.urandom(size)}  # which nothing makes smaller
    return push_files(address, name, files, command=("/data",), effort=0)


def push_referrer(address, repository, subject, text, *, listed=True):
    """Put an artifact that is about a manifest into a registry, listed by the tag of old."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.sbom",
        "config": push_blob(address, repository, EMPTY, b"{}"),
        "layers": [push_blob(address, repository, "text/plain", text.encode())],
        "subject": subject,
    }
    content = json.dumps(manifest).encode()
    digest = push_manifest(address, repository, f"artifact-{text}", manifest)
    descriptor = {"mediaType": MANIFEST, "digest": digest, "size": len(content)}
    if listed:
        tag = subject["digest"].replace(":", "-")
        known, _ = manifest_at(address, repository, tag)
        index = known or {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [],
        }
        index["manifests"].append(descriptor)
        push_manifest(address, repository, tag, index)
    return descriptor


def described(address, repository, digest):
    """The descriptor of a manifest."""
    reply = loopback.get(manifest_url(address, repository, digest), headers=ACCEPTED)
    kind = reply.headers["Content-Type"]
    return {"mediaType": kind, "digest": digest, "size": len(reply.content)}
