"""Reviews for tests that have no event loop."""

from __future__ import annotations

import base64
import json

from webhook.admission import review

__all__ = ["Results", "answer", "patch_of", "result_of"]


class Results:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.results = []
        self.errors = []

    def record_review(self, policy, request, result):
        self.results.append((policy, request, result))

    def record_error(self, policy, request, error):
        self.errors.append((policy, request, error))


def answer(body, policy, recorder=None, seconds=10.0, client=""):
    """The answer to a review that needs not wait for a selector."""
    reviewing = review(body, policy, recorder or Results(), seconds, client)
    try:
        reviewing.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the review waits")


def result_of(body, policy):
    """The result of a review."""
    recorder = Results()
    answer(body, policy, recorder)
    assert not recorder.errors, recorder.errors
    ((_, _, result),) = recorder.results
    return result


def patch_of(response):
    """The operations of a response; patch and patchType come together."""
    assert ("patch" in response) == ("patchType" in response)
    if "patch" not in response:
        return []
    assert response["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(response["patch"]))
