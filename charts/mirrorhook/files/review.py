"""
The chart's own test: ask the webhook what the API server would ask.

It is run by `helm test` with the URLs of the policies as arguments.
"""

# ruff: noqa: INP001, S310, T201 - a script, whose URLs the chart writes

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

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
    """
    Trust the CA that the API server is given, where the chart knows it.
    """
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


def ask(url: str, context: ssl.SSLContext) -> str:
    """
    Send the review to *url*, and say what came back.
    """
    request = urllib.request.Request(
        url, json.dumps(REVIEW).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            response = json.load(answer)["response"]
    except OSError as error:
        sys.exit(f"{url} did not answer: {error}")
    if response["uid"] != UID or response["allowed"] is not True:
        sys.exit(f"{url} gave a wrong answer: {response}")
    return "rewrites" if response.get("patch") else "keeps"


if __name__ == "__main__":
    trusted = trust()
    for address in sys.argv[1:]:
        verb = ask(address, trusted)
        print(f"{address} {verb} {POD['spec']['containers'][0]['image']}")
