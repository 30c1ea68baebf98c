"""Send a review to the webhook, as the API server does.

`helm test` runs this script with the URLs of the policies as arguments.
"""

# ruff: noqa: INP001, T201 - a script

import json
import os
import socket
import ssl
import sys
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

CA_FILE = Path("/etc/mirrorhook/ca/ca.crt")
UID = "3f7a5b0e-0000-4000-8000-000000000000"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "chart-test", "namespace": "chart-test"},
    "spec": {"containers": [{"name": "test", "image": "registry.k8s.io/pause:3.10"}]},
}
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "chart-test",
        "name": "chart-test",
        "userInfo": {"username": "chart-test"},
        "object": POD,
        "oldObject": None,
        "dryRun": True,
    },
}


def create_context() -> ssl.SSLContext:
    """Trust the CA that the API server trusts, if the chart knows it."""
    bundle = os.environ.get("CA_BUNDLE")
    if bundle:
        return ssl.create_default_context(cadata=bundle)
    if CA_FILE.exists():
        return ssl.create_default_context(cafile=CA_FILE)
    print("The chart does not know the CA, so the certificate was not verified.")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ServiceConnection(HTTPSConnection):
    """A connection to the cluster IP of a Service, without DNS."""

    def connect(self) -> None:
        """Connect to the address in the environment that Kubernetes sets for Pods."""
        variable = self.host.partition(".")[0].upper().replace("-", "_") + "_SERVICE_HOST"
        address = os.environ.get(variable, self.host)
        plain = socket.create_connection((address, self.port), timeout=10)
        self.sock = CONTEXT.wrap_socket(plain, server_hostname=self.host)


def read_refusal(connection: ServiceConnection) -> str:
    """Return that the webhook refuses a connection without a client certificate, as it should."""
    connection.connect()
    try:
        connection.sock.recv(1)
    except ssl.SSLError as error:
        if "CERTIFICATE_REQUIRED" in str(error):
            return "needs a client certificate, which only the API server has, to review"
        raise
    raise OSError("it needs no client certificate")


def send_review(url: str) -> str:
    """Send the review to *url*, and return what the webhook does with the image."""
    parts = urlsplit(url)
    connection = ServiceConnection(parts.hostname or "", parts.port)
    body, headers = json.dumps(REVIEW), {"Content-Type": "application/json"}
    try:
        if os.environ.get("CLIENTS_NEED_A_CERTIFICATE"):
            return read_refusal(connection)
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException) as error:
        sys.exit(f"{url} did not answer: {error}")
    if answer.status != 200:  # noqa: PLR2004 - HTTP OK
        sys.exit(f"{url} did not answer: HTTP {answer.status} {text.decode()}")
    response = json.loads(text)["response"]
    if response["uid"] != UID or response["allowed"] is not True:
        sys.exit(f"{url} gave a wrong answer: {response}")
    return "rewrites" if response.get("patch") else "keeps"


if __name__ == "__main__":
    CONTEXT = create_context()
    for policy_url in sys.argv[1:]:
        verb = send_review(policy_url)
        print(f"{policy_url} {verb} {POD['spec']['containers'][0]['image']}")
