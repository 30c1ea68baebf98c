"""The chart's own test: ask the webhook what the API server would ask.

It is run by `helm test` with the URLs of the policies as arguments.
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

AUTHORITY = Path("/etc/mirrorhook/ca/ca.crt")
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


def trust() -> ssl.SSLContext:
    """Trust the CA that the API server is given, where the chart knows it."""
    given = os.environ.get("CA_BUNDLE")
    if given:
        return ssl.create_default_context(cadata=given)
    if AUTHORITY.exists():
        return ssl.create_default_context(cafile=AUTHORITY)
    print("The chart does not know the CA, so the certificate was not checked.")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ToService(HTTPSConnection):
    """A connection to a Service by its cluster IP, as the API server makes one: no DNS."""

    def connect(self) -> None:
        """Connect to the address that Kubernetes gives to Pods."""
        variable = self.host.partition(".")[0].upper().replace("-", "_") + "_SERVICE_HOST"
        address = os.environ.get(variable, self.host)
        plain = socket.create_connection((address, self.port), timeout=10)
        self.sock = TRUSTED.wrap_socket(plain, server_hostname=self.host)


def ask(url: str) -> str:
    """Send the review to *url*, and say what came back."""
    parts = urlsplit(url)
    connection = ToService(parts.hostname or "", parts.port)
    body, headers = json.dumps(REVIEW), {"Content-Type": "application/json"}
    try:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException) as error:
        sys.exit(f"{url} did not answer: {error}")
    if answer.status != 200:  # noqa: PLR2004 - as HTTP has it
        sys.exit(f"{url} did not answer: HTTP {answer.status} {text.decode()}")
    response = json.loads(text)["response"]
    if response["uid"] != UID or response["allowed"] is not True:
        sys.exit(f"{url} gave a wrong answer: {response}")
    return "rewrites" if response.get("patch") else "keeps"


if __name__ == "__main__":
    TRUSTED = trust()
    for each in sys.argv[1:]:
        verb = ask(each)
        print(f"{each} {verb} {POD['spec']['containers'][0]['image']}")
