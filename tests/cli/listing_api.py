"""An API server on loopback that serves Pods, workloads and other objects, and makers of these."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from webhook.cli.images_in_use import read_cluster_images
from webhook.kube import open_client

APPS, BATCH = "/apis/apps/v1", "/apis/batch/v1"


def pod_spec(image, name="main", **more):
    return {"spec": {"containers": [{"name": name, "image": image, **more}]}}


def workload(name, image, *, replicas=1, owner=None, **more):
    return {
        "metadata": metadata(name, owner),
        "spec": {"replicas": replicas, "template": pod_spec(image), **more},
    }


def metadata(name, owner=None, **more):
    found = {"name": name, "namespace": "shop", "uid": f"uid-{name}", **more}
    if owner:
        kind, owner_name = owner
        found["ownerReferences"] = [
            {"kind": kind, "name": owner_name, "uid": f"uid-{owner_name}", "controller": True}
        ]
    return found


def pod(name, image, owner=None, **more):
    return {"metadata": metadata(name, owner, **more), **pod_spec(image)}


class Api:
    """Serves collections page by page.

    Attributes:
        collections: Lists of objects, and single objects, by path; all others are empty lists.
        requests: Every request, in order.
    """

    def __init__(self, folder):
        self.collections = {}
        self.requests = []
        self.forbidden = ""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                api.requests.append(self.path)
                url = urlsplit(self.path)
                query = {name: value[0] for name, value in parse_qs(url.query).items()}
                if url.path == api.forbidden:
                    self.answer(403, {"message": "you may not list them"})
                    return
                begin, limit = int(query.get("continue", 0)), int(query.get("limit", 1000))
                items = api.collections.get(url.path, [])
                if isinstance(items, dict):
                    self.answer(200, items)
                    return
                more = str(begin + limit) if begin + limit < len(items) else ""
                page = {"metadata": {"continue": more}, "items": items[begin : begin + limit]}
                self.answer(200, page)

            def answer(self, status, content):
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever)
        self.thread.start()
        server = f"http://127.0.0.1:{self.server.server_port}"
        clusters = [{"name": "here", "cluster": {"server": server}}]
        clusters += [{"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}]
        contexts = [
            {"name": each["name"], "context": {"cluster": each["name"], "user": "me"}}
            for each in clusters
        ]
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "current-context": "here",
                    "clusters": clusters,
                    "contexts": contexts,
                    "users": [{"name": "me", "user": {}}],
                }
            )
        )

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def read(self, namespace=""):
        return [*read_cluster_images(open_client(self.kubeconfig), namespace)]
