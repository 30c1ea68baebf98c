"""The beginning: ready, or an error in words and exit code 2."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from tests.server.process import fail_to_serve, serving
from webhook.cli.main import mirrorhook


def serve(*options, **environment):
    """Run the command, in this process, with options that it cannot serve with."""
    return CliRunner().invoke(mirrorhook, ["serve", *options], env=environment)


def test_ready_line_names_both_ports_and_is_the_only_line(webhook):
    (line,) = webhook.said
    assert line.startswith("mirrorhook ")
    assert f"is ready: reviews on {webhook.reviews}, " in line
    assert f"probes and metrics on {webhook.operations}; self-signed" in line


@pytest.mark.parametrize("host", ["", "::1", "localhost"])
def test_serve_listens_on_the_given_host(rules, host):
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with serving(rules, "--host", host) as webhook:
        port = webhook.address[1]
        with socket.create_connection((host or "127.0.0.1", port)):
            pass


def test_serve_ends_with_the_name_of_a_port_in_use(rules):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = fail_to_serve(rules, "--host", "127.0.0.1", "--port", port)
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in said
    assert "; choose another port or host" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "Missing option '--config'"),
        (("-c", "none.yaml"), "none.yaml: the file cannot be read: No such file"),
        (("-c", "RULES", "--tls-cert", "a"), "give both --tls-cert and --tls-key"),
        (("-c", "RULES", "--tls-cert", "a", "--tls-key", "b"), "cannot read a: No such"),
        (("-c", "RULES", "--port", "70000"), "70000 is not in the range"),
        (("-c", "RULES", "--certificate-secret", "x"), "'x' is not NAMESPACE/NAME"),
        (("-c", "RULES", "--certificate-secret", "a/b"), "needs --service-name"),
    ],
)
def test_serve_reports_invalid_options(rules, options, told):
    done = serve(*(str(rules) if each == "RULES" else each for each in options))
    assert done.exit_code == 2
    assert told in done.stderr


MANAGED = (
    "--certificate-secret=a/b",
    "--service-name=s",
    "--service-namespace=n",
    "--webhook-configuration=w",
)


def test_managed_certificate_and_files_exclude_each_other(rules):
    done = serve("-c", str(rules), *MANAGED, "--tls-cert", "a", "--tls-key", "b")
    assert done.exit_code == 2
    assert "either --certificate-secret or --tls-cert" in done.stderr


def test_managed_certificate_needs_a_cluster(rules):
    done = serve("-c", str(rules), *MANAGED, KUBERNETES_SERVICE_HOST="")
    assert done.exit_code == 2
    assert "address of the API server" in done.stderr


def test_serve_reports_all_errors_of_the_rules_at_once(rules):
    rules.write_text("rules:\n  - {match: docker.io}\n  - {match: 'a b', mirrors: [x.y/z]}\n")
    done = serve("-c", str(rules))
    assert done.exit_code == 2
    assert "rules.yaml:2" in done.stderr
    assert "rules.yaml:3" in done.stderr
