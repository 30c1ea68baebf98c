"""The check of dependencies finds licences and vulnerabilities, and says what it could not find."""

from __future__ import annotations

import json
import subprocess
import sys
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.dependencies.__main__ import REQUIREMENTS, find_licence_problems, is_allowed

ROOT = Path(__file__).resolve().parents[2]
VULNERABLE = {
    "id": "PYSEC-1",
    "affected": [
        {
            "package": {"name": "urllib3", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


@pytest.fixture
def database():
    """A database of vulnerabilities, in which urllib3 has one, and that can fail."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_one = query["package"]["name"] == "urllib3"
            body = json.dumps({"vulns": [VULNERABLE]} if is_one and self.server.vulnerable else {})
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.status, server.vulnerable = 200, False
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(database, *options):
    """Return exit code, output and messages of the check."""
    url = f"http://127.0.0.1:{database.server_port}/v1/query"
    command = [sys.executable, "-m", "tests.dependencies", f"--osv-url={url}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_dependencies_without_vulnerabilities_and_with_allowed_licences_pass(database):
    code, output, _ = run(database)
    assert code == 0
    count = REQUIREMENTS.read_text().count("==")
    assert f"{count} packages: no known vulnerabilities, and all licences are allowed" in output


def test_vulnerability_is_reported_with_the_version_that_fixes_it(database):
    database.vulnerable = True
    code, output, _ = run(database)
    assert code == 1
    assert "has PYSEC-1, fixed in 99.1" in output


@pytest.mark.parametrize(("options", "expected"), [((), 0), (("--required",), 1)])
def test_database_that_cannot_be_asked_is_reported_and_fails_if_required(
    database, options, expected
):
    database.status = 500
    code, output, messages = run(database, *options)
    assert code == expected
    assert "no known vulnerabilities" not in output
    assert "NOT CHECKED for vulnerabilities: " in messages


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR BSD-3-Clause", True),
        ("(GPL-3.0-only OR MIT) AND ISC", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("", False),
    ],
)
def test_licence_is_allowed_if_one_of_its_alternatives_is(licence, expected):
    assert is_allowed(licence) == expected


def test_package_without_an_allowed_licence_is_named():
    package = Message()
    package["Classifier"] = "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"
    (problem,) = find_licence_problems(["odd"], lambda _: package)
    assert problem.startswith("odd has the licence GNU General Public License v3 (GPLv3)")
