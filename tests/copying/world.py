"""Registries, images in them, and `mirrorhook copy` between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count

from tests.copying.programs import find_program
from tests.tools import loopback
from tests.tools.registry import (
    ACCEPTED,
    MANIFEST,
    manifest_url,
    push_blob,
    push_files,
    push_manifest,
)

EMPTY = "application/vnd.oci.empty.v1+json"
MIB = 1024 * 1024
NUMBERS = count()


class World:
    """An upstream registry, a mirror, rules that lead from one to the other, and an engine.

    Attributes:
        upstream: Address of the first.
        mirror: Address of the second.
        rules: Path of the rules file.
        home: Home of the user, with the only engine on the PATH in ``bin``.
        team: A repository path for the images of one test.
        plain: Those of the registries that have no TLS.
    """

    def __init__(self, folder, upstream, mirror, engine, *, ca="", plain=None):
        self.upstream, self.mirror, self.folder, self.engine = upstream, mirror, folder, engine
        self.plain = (upstream, mirror) if plain is None else plain
        self.team = f"team{next(NUMBERS)}-{os.urandom(3).hex()}"
        self.home = folder / f"home-{engine}"
        self.rules = folder / f"rules-{self.team}.yaml"
        self.rules.write_text(
            f'rules: [{{match: "{upstream}", mirrors: [{{target: "{mirror}/m"{ca}}}]}}]\n'
            "availability: {mode: check}\n"
        )
        (self.home / "bin").mkdir(parents=True, exist_ok=True)
        (self.home / ".docker").mkdir(exist_ok=True)
        self.link(engine)
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", "."),
            "TERM": "xterm-256color",
        }

    def link(self, engine):
        link = self.home / "bin" / engine
        if not link.exists():
            link.symlink_to(find_program(engine))

    def command(self, *arguments):
        """Return the command; names that begin with = are those of upstream."""
        words = [
            f"{self.upstream}/{self.team}/{each[1:]}" if str(each).startswith("=") else str(each)
            for each in arguments
        ]
        plain = [f"--plain-http={host}" for host in self.plain]
        rules = ["-c", str(self.rules)]
        return [sys.executable, "-m", "webhook", "copy", *rules, *plain, *words]

    def run(self, *arguments, stdin="", **more):
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | more,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments, **options):
        done = self.run(*arguments, "-o", "json", **options)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def at_mirror(self, name):
        """Return the digest of ``repository:tag`` or ``repository@digest``; None if missing."""
        repository, _, reference = name.replace("@", ":", 1).partition(":")
        return manifest_at(self.mirror, f"m/{self.team}/{repository}", reference)[1] or None


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
