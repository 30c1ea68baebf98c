"""The command `doctor`; its checks are tested in tests/cli/doctor, and on a real cluster."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.cli.doctor.reader import MemoryReader, pod, rules
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
        (["-n", "shop/../x"], "'shop/../x' is not the name of a namespace"),
        (["pod", "a_b/c"], "expected `pod [NAMESPACE/]NAME`"),
        (["pod", ".."], "expected `pod [NAMESPACE/]NAME`"),
        (["pod", "a..b"], "expected `pod [NAMESPACE/]NAME`"),
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


def call(monkeypatch, reader, *arguments):
    """Run the command on a cluster in memory."""
    asked = []

    def open_cluster(kubeconfig, context):
        asked.append((kubeconfig, context))
        return reader

    monkeypatch.setattr("webhook.cli.doctor.command.open_cluster", open_cluster)
    result = CliRunner().invoke(doctor, arguments)
    return result, asked


def refuse_listing(reader):
    reader.forbidden = ("mutatingwebhookconfigurations",)


def skew(reader):
    reader.ahead = 300


def remove_rules(reader):
    reader.lists["/api/v1/namespaces/mirrorhook/configmaps"] = []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda _: None, "ok", 0),
        (skew, "note", 1),
        (refuse_listing, "unknown", 1),
        (remove_rules, "wrong", 1),
    ],
)
def test_exit_code_is_1_if_any_result_is_not_ok(monkeypatch, change, status, code):
    reader = MemoryReader()
    change(reader)
    result, _ = call(monkeypatch, reader, "--output", "json")
    assert result.exit_code == code
    found = {each["status"] for each in json.loads(result.stdout)}
    assert found - {"ok"} == {status} - {"ok"}


def test_problems_of_rules_have_their_key_line_and_column(monkeypatch):
    reader = MemoryReader()
    text = "rules:\n  - match: docker.io\n  - {match: quay.io, mirrors: [m.example], kep: true}\n"
    reader.lists["/api/v1/namespaces/mirrorhook/configmaps"] = [rules(text)]
    result, _ = call(monkeypatch, reader)
    assert result.exit_code == 1
    line = next(each for each in result.stdout.splitlines() if "are wrong" in each)
    assert "ConfigMap mirrorhook/mirrorhook-rules are wrong: rules.yaml:2:5: rules[0]: " in line
    assert "; rules.yaml:3:44: rules[1].kep: " in line


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [
        (["pod", "shop/web"], "shop"),
        (["pod/shop/web"], "shop"),
        (["-n", "shop", "pod/web"], "shop"),
        (["-n", "shop", "po", "web"], "shop"),
        (["-n", "shop", "pods", "shop/web"], "shop"),
        (["pod", "web"], "of-the-context"),
    ],
)
def test_pod_is_named_as_for_kubectl(monkeypatch, arguments, namespace):
    reader = MemoryReader()
    reader.namespace = "of-the-context"
    given = pod("r.example/x", namespace=namespace)
    reader.objects[f"/api/v1/namespaces/{namespace}/pods/web"] = given
    space = reader.objects["/api/v1/namespaces/shop"]
    reader.objects[f"/api/v1/namespaces/{namespace}"] = space
    result, asked = call(monkeypatch, reader, *arguments, "--context", "c")
    assert result.exit_code == 1
    assert "no rule matches r.example/x" in result.stdout
    assert asked == [(None, "c")]


def test_context_and_namespace_are_those_of_the_options(monkeypatch):
    reader = MemoryReader()
    result, asked = call(monkeypatch, reader, "-n", "shop", "--kubeconfig", "k", "--context", "c")
    assert result.exit_code == 0
    assert [(str(file), context) for file, context in asked] == [("k", "c")]
    assert "handles the Pods of shop" in result.stdout


def test_doctor_reads_the_installation_once(monkeypatch):
    reader = MemoryReader()
    listed = []
    list_objects = reader.list
    reader.list = lambda path, *rest: listed.append((path, *rest)) or list_objects(path, *rest)
    call(monkeypatch, reader, "-n", "shop")
    maps = [each for each in listed if each[0].endswith("/configmaps")]
    assert len(maps) == 1
