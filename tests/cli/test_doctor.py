"""The command `doctor`; its checks are tested in tests/cli/doctor, and on a real cluster."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.tools.faults import unused_port
from webhook.cli.doctor.command import doctor
from webhook.cli.doctor.report import (
    STYLES,
    FindingStatus,
    describe_finding,
    report_note,
    report_ok,
    report_unknown,
    report_wrong,
    show_findings,
)

FINDINGS = [
    report_ok("clock", "right"),
    report_note("Pod", "static"),
    report_wrong("rules", "none", "give some"),
    report_unknown("certificate", "not seen"),
]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["node", "a/b"], "expected `pod [NAMESPACE/]NAME` or `pod/NAME`, got 'node a/b'"),
        (["pod"], "expected `pod [NAMESPACE/]NAME` or `pod/NAME`, got 'pod'"),
        (["pod/"], "expected `pod [NAMESPACE/]NAME` or `pod/NAME`, got 'pod/'"),
        (["pod", "/web"], "expected `pod [NAMESPACE/]NAME`"),
        (["pod", "a/b", "c/d"], "expected `pod [NAMESPACE/]NAME`"),
        (["-n", "shop", "pod", "a/b"], "the Pod is in namespace a, but --namespace is shop"),
        (["--image", "nginx"], "--image needs --namespace NAME"),
        (["--kubeconfig", "nowhere"], "give --kubeconfig FILE of a cluster"),
    ],
)
def test_doctor_reports_wrong_usage(arguments, said):
    result = CliRunner().invoke(doctor, arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_doctor_reports_an_unreachable_api_server(tmp_path):
    address = unused_port()
    user = {"name": "t", "user": {}}
    cluster = {"name": "t", "cluster": {"server": f"http://{address}"}}
    context = {"name": "t", "context": {"cluster": "t", "user": "t"}}
    content = {"clusters": [cluster], "users": [user], "contexts": [context]}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(content | {"current-context": "t"}))
    result = CliRunner().invoke(doctor, ["--kubeconfig", str(path)])
    assert result.exit_code == 2
    assert "cannot get /version" in result.output
    assert "Connection refused" in result.output


def test_findings_are_shown_with_their_fix_below(capsys):
    assert [*show_findings(FINDINGS)] == FINDINGS
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["ok", "clock: right"],
        ["note", "Pod: static"],
        ["wrong", "rules: none"],
        ["fix", "give some"],
        ["unknown", "certificate: not seen"],
    ]


def test_finding_json_has_the_documented_keys():
    assert describe_finding(FINDINGS[2]) == {
        "check": "rules",
        "status": "wrong",
        "message": "none",
        "fix": "give some",
    }
    assert describe_finding(FINDINGS[0])["fix"] is None


def test_every_finding_status_has_a_style():
    assert set(STYLES) == {str(each) for each in FindingStatus}
