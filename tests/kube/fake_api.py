"""An API server on loopback that answers for Secrets, MutatingWebhookConfigurations and
EndpointSlices as the real one does (its answers were compared with those of Kubernetes
1.37), and that fails on request.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

TOKEN = "of-the-service-account"
USER = "system:serviceaccount:mirrorhook:mirrorhook"
SECRETS = "/api/v1/namespaces/mirrorhook/secrets"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/mirrorhook/endpointslices"
NAMESPACES = "/api/v1/namespaces"
KINDS = {
    SLICES: ("endpointslices", "discovery.k8s.io", ' in the namespace "mirrorhook"'),
    SECRETS: ("secrets", "", ' in the namespace "mirrorhook"'),
    CONFIGURATIONS: (
        "mutatingwebhookconfigurations",
        "admissionregistration.k8s.io",
        " at the cluster scope",
    ),
    # The last, as the paths of others begin with it.
    NAMESPACES: ("namespaces", "", " at the cluster scope"),
}
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
}


class RefusalError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


class FakeApi:
    """Attributes:
    objects: Objects by path.
    requests: Method and path of every request, in order.
    denied: Verb and resource of what may not be done.
    faults: What is to happen to the next requests instead of an answer, in order:
        ``drop``, ``half``, ``hang``, ``html``, or an HTTP status.
    """

    def __init__(self):
        self.objects = {}
        self.requests = []
        self.denied = set()
        self.faults = []
        self.token = TOKEN
        self._versions = itertools.count(100)
        self._watches = set()
        self._writers = set()
        self._server = None
        self.port = 0

    async def __aenter__(self):
        await self.up()
        return self

    async def __aexit__(self, *_):
        await self.down()

    async def up(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self):
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self.end_watches()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._server.wait_closed()

    def kubeconfig(self, folder, token=TOKEN):
        path = folder / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{self.port}"}
        user = {"token": token}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "me", "user": user}],
        }
        path.write_text(json.dumps(document))
        return path

    def put(self, collection, name, **content):
        """Make or replace an object, as some other client would."""
        path = f"{collection}/{name}"
        kind = "MODIFIED" if path in self.objects else "ADDED"
        metadata = {"name": name, "resourceVersion": str(next(self._versions))}
        if collection == SECRETS:
            metadata["namespace"] = "mirrorhook"
        self.objects[path] = {"metadata": metadata, **copy.deepcopy(content)}
        self._tell(kind, path)
        return self.objects[path]

    def remove(self, collection, name):
        path = f"{collection}/{name}"
        self._tell("DELETED", path)
        del self.objects[path]

    def end_watches(self, event=None):
        """End all watches: with an event (an error) where one is given, else abruptly."""
        for queue in list(self._watches):
            queue.put_nowait(event)

    @property
    def watching(self):
        return len(self._watches)

    def _tell(self, kind, path):
        event = {"type": kind, "object": copy.deepcopy(self.objects[path])}
        for queue in self._watches:
            if queue.path == path:
                queue.put_nowait(event)

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {k.lower(): v for k, v in (each.split(": ", 1) for each in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        if "watch" not in query:
            self.requests.append((method, url.path))
        if self.faults and "watch" not in query:
            fault = self.faults.pop(0)
            if not isinstance(fault, int):
                return await self._misbehave(fault, writer)
            answer = status(fault, "the server says so")
            await send(writer, fault, answer)
            return True
        try:
            collection, name = self._place(url.path)
            verb = "watch" if "watch" in query else {"POST": "create"}.get(method, method.lower())
            self._authorize(headers, verb, collection, name or selected(query))
            if verb == "watch":
                return await self._watch(reader, writer, f"{collection}/{selected(query)}")
            if verb == "get" and not name:
                verb, name = "list", query.get("labelSelector", "")
            code, answer = getattr(self, f"_{verb}")(collection, name, headers, body)
        except RefusalError as refusal:
            code, answer = refusal.status, status(refusal.status, refusal.message)
        await send(writer, code, answer)
        return True

    async def _misbehave(self, fault, writer):
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "html":
            page = b"<html>a proxy</html>"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
            await writer.drain()
            return True
        if fault == "half":
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"metadata":')
            await writer.drain()
        return False

    def _place(self, path):
        for collection in KINDS:
            if path == collection or path.startswith(collection + "/"):
                return collection, path[len(collection) + 1 :]
        raise RefusalError(404, "the server could not find the requested resource")

    def _authorize(self, headers, verb, collection, name):
        if headers.get("authorization") != f"Bearer {self.token}":
            raise RefusalError(401, "Unauthorized")
        resource, group, scope = KINDS[collection]
        if (verb, resource) in self.denied:
            full = f"{resource}.{group}" if group else resource
            what = full if verb == "create" else f'{full} "{name}"'
            raise RefusalError(
                403,
                f'{what} is forbidden: User "{USER}" cannot {verb} resource "{resource}" '
                f'in API group "{group}"{scope}',
            )

    def _existing(self, collection, name):
        found = self.objects.get(f"{collection}/{name}")
        if found is None:
            raise RefusalError(404, f'{full_name(collection)} "{name}" not found')
        return found

    def _get(self, collection, name, _headers, _body):
        return 200, self._existing(collection, name)

    def _list(self, collection, selector, _headers, _body):
        key, _, value = selector.partition("=")
        found = [
            each
            for path, each in self.objects.items()
            if path.startswith(f"{collection}/") and each.get("labels", {}).get(key) == value
        ]
        return 200, {"items": found}

    def _create(self, collection, _name, _headers, body):
        content = json.loads(body)
        name = content["metadata"]["name"]
        if f"{collection}/{name}" in self.objects:
            raise RefusalError(409, f'{full_name(collection)} "{name}" already exists')
        made = self.put(collection, name, type=content["type"], data=content["data"])
        made["metadata"] |= content["metadata"]
        return 201, made

    def _patch(self, collection, name, headers, body):
        if headers.get("content-type") != "application/strategic-merge-patch+json":
            raise RefusalError(415, "the body of the request was in an unknown format")
        found = self._existing(collection, name)
        patch = json.loads(body)
        version = patch["metadata"].pop("resourceVersion", None)
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise RefusalError(
                409,
                f'Operation cannot be fulfilled on {full_name(collection)} "{name}": the '
                "object has been modified; please apply your changes to the latest version "
                "and try again",
            )
        if found.get("immutable"):
            raise RefusalError(
                422,
                f'Secret "{name}" is invalid: data: Forbidden: field is immutable when '
                "`immutable` is set",
            )
        before = copy.deepcopy(found)
        found.setdefault("data", {}).update(patch.get("data", {}))
        for webhook in patch.get("webhooks", ()):
            each = next(w for w in found["webhooks"] if w["name"] == webhook["name"])
            each["clientConfig"].update(webhook["clientConfig"])
        if "managedFields" in patch["metadata"]:
            found["metadata"]["managedFields"] = patch["metadata"]["managedFields"]
        if found != before:
            found["metadata"]["resourceVersion"] = str(next(self._versions))
            self._tell("MODIFIED", f"{collection}/{name}")
        return 200, found

    async def _watch(self, reader, writer, path):
        queue = asyncio.Queue()
        queue.path = path
        self._watches.add(queue)
        left = asyncio.ensure_future(reader.read())
        left.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            await writer.drain()
            if path in self.objects:
                self._tell("ADDED", path)
            while (event := await queue.get()) is not None:
                line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
                writer.write(b"%x\r\n%s\r\n" % (len(line), line))
                await writer.drain()
                if event["type"] == "ERROR":
                    break
            return False
        finally:
            self._watches.discard(queue)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)


def full_name(collection):
    resource, group, _ = KINDS[collection]
    return f"{resource}.{group}" if group else resource


def selected(query):
    return query.get("fieldSelector", "").removeprefix("metadata.name=")


def status(code, message):
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(code, "Unknown"),
        "code": code,
    }


GONE = {"type": "ERROR", "object": status(410, "too old resource version: 1 (2)")}


async def send(writer, code, answer):
    body = json.dumps(answer).encode()
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (code, len(body))
        + body
    )
    await writer.drain()
