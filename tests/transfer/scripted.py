"""Registries in memory, with what Debian's has not of OCI 1.1, and with faults."""

from __future__ import annotations

import asyncio
import hashlib
import json

import httpx

from tests.registry.virtual_clock import now
from webhook.core import Availability, parse_reference
from webhook.registry import create_client
from webhook.transfer import Client, Patience, Repository, Session
from webhook.transfer.copier import Copier

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FakeRegistry:
    """Attributes:
    blobs: Content by digest, or what is given instead of it.
    manifests: Content by tag and digest.
    has_referrers: Whether it has the API.
    page: How many referrers are on a page.
    faults: By method, answers that are given before it does its work, in order; None
        for none. Each is a response, or an error.
    calls: Method and path of each request.
    chunks: The sizes of the chunks that came.
    """

    def __init__(self, **options):
        self.blobs, self.manifests, self.uploads = {}, {}, {}
        self.has_referrers, self.page = True, 1
        self.mounts, self.takes_sparse, self.least = True, True, ""
        self.faults = {}
        self.calls, self.chunks = [], []
        vars(self).update(options)

    def add(self, content):
        """Keep a blob, and return its descriptor."""
        digest = digest_of(content)
        self.blobs[digest] = content
        return {"mediaType": "text/plain", "digest": digest, "size": len(content)}

    def image(self, *tags, layers=(b"layer",), **keys):
        """Keep an image, and return its descriptor."""
        value = {"schemaVersion": 2, "mediaType": MANIFEST, **keys}
        value["config"] = self.add(b"{}")
        value["layers"] = [self.add(layer) for layer in layers]
        return self.keep(json.dumps(value).encode(), *tags)

    def keep(self, content, *tags):
        digest = digest_of(content)
        for name in (digest, *tags):
            self.manifests[name] = content
        kind = json.loads(content)["mediaType"]
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def __call__(self, request):
        self.calls.append((request.method, request.url.path))
        waiting = self.faults.get(request.method, [])
        fault = waiting.pop(0) if waiting else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        _, kind, name = request.url.path.rsplit("/", 2)
        if "/uploads/" in request.url.path:
            return self.uploaded(request, name)
        answers = {
            "manifests": self.manifest,
            "blobs": self.blob,
            "referrers": self.referrers,
        }
        return answers[kind](request, name)

    def manifest(self, request, name):
        if request.method == "PUT":
            value = json.loads(request.content)
            known = {each["digest"] for each in value.get("manifests", [])}
            if not self.takes_sparse and not known <= self.manifests.keys():
                return httpx.Response(400)
            self.keep(request.content, name)
            linked = self.has_referrers and "subject" in value
            return httpx.Response(201, headers={"OCI-Subject": "x"} if linked else {})
        content = self.manifests.get(name)
        if content is None:
            return httpx.Response(404)
        kind = json.loads(content)["mediaType"]
        headers = {"Content-Type": kind, "Docker-Content-Digest": digest_of(content)}
        body = content if request.method == "GET" else b""
        return httpx.Response(200, headers=headers, content=body)

    def blob(self, request, name):
        if name not in self.blobs:
            return httpx.Response(404)
        return httpx.Response(200, content=self.blobs[name] if request.method == "GET" else b"")

    def referrers(self, request, name):
        if not self.has_referrers:
            return httpx.Response(404)
        found = [
            {"mediaType": MANIFEST, "digest": digest, "size": len(content)}
            for digest, content in self.manifests.items()
            if json.loads(content).get("subject", {}).get("digest") == name
            and digest.startswith("sha256:")
        ]
        begin = int(request.url.params.get("from", 0))
        headers = {"Content-Type": INDEX}
        if begin + self.page < len(found):
            following = request.url.copy_set_param("from", begin + self.page).raw_path
            headers["Link"] = f'<{following.decode()}>; rel="next"'
        page = found[begin : begin + self.page]
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": page}
        return httpx.Response(200, headers=headers, content=json.dumps(value).encode())

    def uploaded(self, request, name):
        method = request.method
        if method == "POST":
            mounted = request.url.params.get("mount")
            if mounted and self.mounts and mounted in self.blobs:
                return httpx.Response(201)
            name = f"u{len(self.uploads)}"
            self.uploads[name] = b""
            return self.accepted(name, 202)
        if name not in self.uploads:
            return httpx.Response(404)
        if method == "GET":
            return self.accepted(name, 204)
        if method == "DELETE":
            del self.uploads[name]
            return httpx.Response(204)
        self.uploads[name] += request.content
        if method == "PATCH":
            self.chunks.append(len(request.content))
            return self.accepted(name, 202)
        content, digest = self.uploads.pop(name), request.url.params["digest"]
        if digest_of(content) != digest:
            return httpx.Response(400)
        self.blobs[digest] = content
        return httpx.Response(201)

    def accepted(self, name, status):
        last = max(len(self.uploads[name]) - 1, 0)
        headers = {"Location": f"/v2/a/blobs/uploads/{name}", "Range": f"0-{last}"}
        if self.least:
            headers["OCI-Chunk-Min-Length"] = self.least
        return httpx.Response(status, headers=headers)


class Counting:
    """A watcher that counts."""

    def __init__(self):
        self.total = self.came = 0

    def planned(self, size):
        self.total += size

    def moved(self, size):
        self.came += size


class Pair:
    """Two registries, and what is copied from one to the other."""

    def __init__(self, *, up=None, down=None, attempts=3):
        self.up = up or FakeRegistry()
        self.down = down or FakeRegistry()
        self.watching = Counting()
        self.pauses = []
        self.homes = {}
        self.attempts = attempts

    def __call__(self, request):
        return (self.up if request.url.host == "up.example" else self.down)(request)

    async def slept(self, seconds):
        self.pauses.append(seconds)

    def copy(self, wanted="1", name="1", platforms=()):
        return asyncio.run(self.copied(wanted, name, platforms))

    async def copied(self, wanted, name, platforms):
        transport = httpx.MockTransport(self)
        client = Client(create_client(Availability(), now, print, lambda _: transport))
        patience = Patience(attempts=self.attempts, sleep=self.slept, clock=lambda: 0.0)
        session = Session(client, patience, self.homes)
        source = Repository(session, parse_reference("up.example/a"))
        target = Repository(session, parse_reference("down.example/a"))
        places = asyncio.Semaphore(2)
        copier = Copier(source, target, platforms, places, self.watching, patience)
        try:
            return await copier.copy(wanted, name)
        finally:
            await client.close()
