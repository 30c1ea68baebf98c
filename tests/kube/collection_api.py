"""An API server on loopback that lists and watches collections as the real one does.

It does nothing by itself: the test makes each change, ends each watch, compacts the history, and
says how the next requests fail.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from urllib.parse import parse_qsl, urlsplit

from kubernetes.client import Configuration

from webhook.kube.client import KubeClient

PATH = "/apis/example.com/v1/things"
EXPIRED = {"code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}


class Collection:
    """Attributes:
    objects: The objects by namespace and name.
    requests: The query of each request, with its header ``Accept``.
    faults: What happens to the next requests, in order: an HTTP status; ``drop``, which closes the
        connection; ``half``, which does so within the answer; or None for no fault.
    page: Objects of a page at most; the limit of the client if that is smaller.
    """

    def __init__(self):
        self.objects = {}
        self.requests = []
        self.faults = []
        self.page = 500
        self.exists = True
        self.version = 100
        self.oldest = 0
        self.watches = 0
        self._events = []
        self._snapshots = {}
        self._endings = []  # of all watches: the version, and the last event or None
        self.changed = Condition()

    def put(self, name, namespace="", **content):
        with self.changed:
            key = (namespace, name)
            kind = "MODIFIED" if key in self.objects else "ADDED"
            self.version += 1
            metadata = {"name": name, "resourceVersion": str(self.version)}
            if namespace:
                metadata["namespace"] = namespace
            self.objects[key] = {"metadata": metadata, **content}
            self._tell(kind, self.objects[key])

    def remove(self, name, namespace=""):
        with self.changed:
            self.version += 1
            gone = self.objects.pop((namespace, name))
            metadata = gone["metadata"] | {"resourceVersion": str(self.version)}
            self._tell("DELETED", gone | {"metadata": metadata})

    def bookmark(self):
        with self.changed:
            self.version += 1
            self._tell("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def fail_watches(self, **status):
        """End all watches with an event of the type ERROR."""
        self.end_watches({"type": "ERROR", "object": {"kind": "Status", **status}})

    def end_watches(self, event=None):
        with self.changed:
            self._endings.append((self.version, event))
            self.changed.notify_all()

    def compact(self):
        """Let nobody begin to watch from before now, or go on with a list."""
        with self.changed:
            self.oldest = self.version
            self._snapshots.clear()

    def _tell(self, kind, content):
        self._events.append((self.version, {"type": kind, "object": content}))
        self.changed.notify_all()

    def list(self, query):
        with self.changed:
            token = query.get("continue", "")
            if token and token not in self._snapshots:
                return 410, {"message": "the continue token is too old"}
            version, items = self._snapshots.pop(token, (self.version, [*self.objects.values()]))
            size = min(self.page, int(query.get("limit", 500)))
            page, rest = items[:size], items[size:]
            metadata = {"resourceVersion": str(version)}
            if rest:
                metadata["continue"] = f"{version}-{len(rest)}"
                self._snapshots[metadata["continue"]] = version, rest
            return 200, {"kind": "List", "metadata": metadata, "items": page}

    def watch(self, query, write):
        """Send events until the watch ends."""
        seen = int(query["resourceVersion"])
        with self.changed:
            endings = len(self._endings)
            if seen < self.oldest:
                return write({"type": "ERROR", "object": EXPIRED})
            self.watches += 1
        try:
            while True:
                with self.changed:
                    ended = len(self._endings) > endings
                    last, ending = self._endings[endings] if ended else (self.version, None)
                    waiting = [each for each in self._events if seen < each[0] <= last]
                    if not waiting and not ended:
                        self.changed.wait(10)
                        continue
                for version, event in waiting:
                    write(event)
                    seen = version
                if ended:
                    return write(ending) if ending else None
        finally:
            with self.changed:
                self.watches -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        collection = self.server.collections[url.path]
        query = dict(parse_qsl(url.query))
        collection.requests.append(query | {"accept": self.headers["Accept"]})
        fault = collection.faults.pop(0) if collection.faults else None
        if fault == "drop":
            self.close_connection = True
        elif isinstance(fault, int):
            self.answer(fault, {"message": "the server says so"})
        elif not collection.exists:
            self.answer(404, {"message": "the server could not find the requested resource"})
        elif "watch" in query:
            self.watch(collection, query, fault)
        else:
            self.answer(*collection.list(query), cut=fault == "half")

    def answer(self, status, content, *, cut=False):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut

    def watch(self, collection, query, fault):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fault == "half":
            self.write_chunk(b'{"type":"ADDED","object":{"meta')
            self.close_connection = True
            return
        collection.watch(query, self.write_event)
        self.wfile.write(b"0\r\n\r\n")

    def write_event(self, event):
        line = json.dumps(event).encode() + b"\n"
        # An event may come in parts.
        self.write_chunk(line[:7])
        self.write_chunk(line[7:])

    def write_chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    collections: dict[str, Collection]

    def handle_error(self, *_):
        pass  # a client that went away


@contextmanager
def serve_collections(*paths):
    """Serve collections until the end of the block; yields them and the address of the server."""
    server = Server(("127.0.0.1", 0), Handler)
    server.collections = {path: Collection() for path in paths}
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.collections, f"http://127.0.0.1:{server.server_port}"
    finally:
        for each in server.collections.values():
            each.end_watches()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_collection():
    """Serve one collection until the end of the block; yields it and the address."""
    with serve_collections(PATH) as (collections, address):
        yield collections[PATH], address


def make_client(address):
    """Return a client of such a server."""
    configuration = Configuration()
    configuration.host = address
    return KubeClient(configuration)
