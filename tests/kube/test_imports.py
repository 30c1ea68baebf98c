"""Memory and start-up count: the `kubernetes` package is there only where it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


REPORT = "import sys; print(sorted({'kubernetes', 'urllib3', 'pydantic'} & set(sys.modules)))"


@pytest.mark.parametrize("module", ["webhook.kube", "webhook.tls"])
def test_kubernetes_package_is_not_imported_before_use(module):
    code = f"import {module}; {REPORT}"
    done = run(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_missing_kubernetes_package_raises_an_error_that_says_what_to_install():
    code = """
import sys
sys.modules["kubernetes"] = None
from webhook.kube import ClusterError, connect
try:
    connect()
except ClusterError as error:
    print(error)
"""
    done = run(code)
    assert done.stdout.startswith("access to a cluster needs the kubernetes package (")
    assert done.stdout.endswith("): install mirrorhook[cluster]\n")


def test_models_of_the_kubernetes_package_are_not_imported():
    code = """
import sys
from webhook.kube import client, cluster
print([name for name in sys.modules if name.startswith("kubernetes.client.models.")])
print("kubernetes.client.api.core_v1_api" in sys.modules)
"""
    done = run(code)
    assert done.stdout == "[]\nFalse\n"
