"""`mirrorhook audit`, of manifests and of an API server on loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.guides import DOCS, typed
from tests.cli.listing_api import APPS, BATCH, metadata, pod, pod_spec, workload
from tests.tools import registry as registries
from tests.tools.faults import unused_port
from tests.tools.loopback import NO_CAS
from tests.tools.registry import push_image, registry
from tests.tools.terminal import terminal
from webhook.cli.audit import audit
from webhook.cli.image_states import ImageState

HUB = "harbor.example.com/dockerhub"
RULES = f"""\
rules:
  - {{match: docker.io, mirrors: [{HUB}]}}
  - {{match: quay.io/kept, keep: true}}
"""
ORIGINALS = "mirrorhook.io/original-images"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SELECTED = {"mirrorhook.io/rewrite": "enabled"}
PAGE = (DOCS / "audit.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
FIELDS = json.loads((Path(__file__).parent / "policyreport.json").read_text())


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


def run(rules, *arguments, stdin=None, **more):
    return CliRunner(env=NO_CAS).invoke(audit, ["-c", rules, *arguments], input=stdin, **more)


def read(rules, *arguments, **more):
    """Return the entries of an audit."""
    result = run(rules, *arguments, "-o", "json", **more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["images"]


def read_api(rules, api, *arguments):
    return read(rules, "--kubeconfig", str(api.kubeconfig), *arguments)


def brief(entries):
    return [(each["name"], each["image"], each["state"], each["pods"]) for each in entries]


def rewritten(name, image, original, owner=None):
    return pod(name, image, owner, annotations={ORIGINALS: json.dumps({"main": original})})


def webhook(policy="/mutate", **more):
    service = {"namespace": "mirrorhook", "name": "mirrorhook", "path": policy}
    selector = {"namespaceSelector": {"matchLabels": SELECTED}}
    hook = {"name": "hook", "clientConfig": {"service": service}} | selector | more
    return {"metadata": {"name": "mirrorhook"}, "webhooks": [hook]}


@pytest.mark.parametrize(
    ("image", "more", "state", "reason"),
    [
        (f"{HUB}/library/nginx:1", {}, "mirrored", "it is already at a mirror of rule docker.io"),
        ("nginx:1", {}, "would change on restart", f"rule docker.io → {HUB}"),
        ("ghcr.io/a/b:1", {}, "no rule", "no rule matches ghcr.io/a/b"),
        ("quay.io/kept/a:1", {}, "kept", "rule quay.io/kept keeps it"),
        ("nginx:1", {"imagePullPolicy": "Never"}, "pull policy Never", "its pull policy is Never"),
        ("NGINX", {}, "invalid", "the repository 'NGINX' must be in lower case"),
        ("NGINX", {"imagePullPolicy": "Never"}, "invalid", "the repository 'NGINX' must be in"),
    ],
)
def test_image_has_its_state_and_reason(rules, image, more, state, reason):
    manifest = {"kind": "Pod", "metadata": {"name": "a"}, **pod_spec(image, **more)}
    (entry,) = read(rules, "-", stdin=json.dumps(manifest))
    assert (entry["state"], entry["image"]) == (state, image)
    assert entry["reason"].startswith(reason)
    changed = f"{HUB}/library/nginx:1" if "change" in state else image
    assert entry["result"] == changed


def test_opted_out_pod_is_an_exception_only_for_images_that_would_change(rules):
    manifest = {"kind": "Pod", "metadata": {"name": "a", "labels": {}}, **pod_spec("nginx:1")}
    manifest["metadata"]["labels"]["mirrorhook.io/rewrite"] = "disabled"
    (entry,) = read(rules, "-", stdin=json.dumps(manifest))
    assert entry["state"] == "Pod opted out"
    assert entry["reason"] == "its label mirrorhook.io/rewrite is disabled"
    manifest["spec"]["containers"][0]["image"] = f"{HUB}/library/nginx:1"
    (entry,) = read(rules, "-", stdin=json.dumps(manifest))
    assert entry["state"] == "mirrored"


def test_owner_has_one_entry_for_all_its_pods_and_for_its_template(rules, api):
    mirrored = f"{HUB}/library/nginx:1"
    api.collections = {
        f"{APPS}/deployments": [
            workload("web", "nginx:1"),
            workload("rolling", "nginx:2"),
            workload("idle", "nginx:3", replicas=0),
            workload("plain", "nginx:1"),
        ],
        f"{APPS}/replicasets": [
            workload(f"{name}-1", "nginx:1", owner=("Deployment", name))
            for name in ("web", "rolling", "plain")
        ],
        "/api/v1/pods": [
            rewritten("web-1-a", mirrored, "nginx:1", ("ReplicaSet", "web-1")),
            rewritten("web-1-b", mirrored, "nginx:1", ("ReplicaSet", "web-1")),
            rewritten("rolling-1-a", mirrored, "nginx:1", ("ReplicaSet", "rolling-1")),
            pod("plain-1-a", mirrored, ("ReplicaSet", "plain-1")),  # with record: false
        ],
    }
    assert brief(read_api(rules, api)) == [
        ("idle", "nginx:3", "would change on restart", 0),
        ("plain", mirrored, "mirrored", 1),
        ("rolling", mirrored, "mirrored", 1),
        ("rolling", "nginx:2", "would change on restart", 0),
        ("web", mirrored, "mirrored", 2),
    ]


def test_pod_rewritten_by_older_rules_would_change(rules, api):
    api.collections = {"/api/v1/pods": [rewritten("a", "old.example.com/nginx:1", "nginx:1")]}
    (entry,) = read_api(rules, api)
    assert (entry["state"], entry["registry"]) == ("would change on restart", "old.example.com")
    assert (entry["original"], entry["result"]) == ("nginx:1", f"{HUB}/library/nginx:1")


def test_pod_rewritten_by_a_rule_that_is_gone_would_get_its_original_back(rules, api):
    api.collections = {"/api/v1/pods": [rewritten("a", "old.example.com/a:1", "ghcr.io/a:1")]}
    (entry,) = read_api(rules, api)
    assert (entry["state"], entry["result"]) == ("no rule", "ghcr.io/a:1")


@pytest.mark.parametrize(
    ("image", "state"),
    [
        ("ghcr.io/acme/web:2", "no rule"),
        (f"{HUB}/library/redis:1", "mirrored"),
        (f"{HUB}/library/nginx:2", "mirrored"),
        ("nginx:2", "would change on restart"),
        ("quay.io/kept/nginx:1", "kept"),
    ],
)
def test_record_of_another_image_does_not_count(rules, api, image, state):
    api.collections = {"/api/v1/pods": [rewritten("a", image, "nginx:1")]}
    (entry,) = read_api(rules, api)
    assert (entry["state"], entry["original"]) == (state, image)


def test_namespaces_and_labels_that_a_webhook_does_not_select_are_states(rules, api):
    labelled = pod("b", "nginx:1", labels={"app": "vault"})
    other = pod("c", "nginx:1")
    other["metadata"]["namespace"] = "ci"
    selector = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["vault"]}]}
    api.collections = {
        WEBHOOKS: [webhook(objectSelector=selector), webhook("/mutate/other")],
        "/api/v1/namespaces": [
            {"metadata": {"name": "shop", "labels": SELECTED}},
            {"metadata": {"name": "ci"}},
        ],
        "/api/v1/pods": [pod("a", "nginx:1"), labelled, other],
    }
    entries = read_api(rules, api)
    assert brief(entries) == [
        ("c", "nginx:1", "namespace not selected", 1),
        ("a", "nginx:1", "would change on restart", 1),
        ("b", "nginx:1", "Pod opted out", 1),
    ]
    assert entries[0]["reason"] == "label mirrorhook.io/rewrite must be enabled, but is missing"
    assert entries[2]["reason"] == "label app must not be vault"


def test_namespace_option_reads_that_namespace_alone(rules, api):
    api.collections = {
        WEBHOOKS: [webhook()],
        "/api/v1/namespaces/shop": {"metadata": {"name": "shop"}},
        "/api/v1/namespaces/shop/pods": [pod("a", "nginx:1")],
    }
    assert brief(read_api(rules, api, "-n", "shop")) == [
        ("a", "nginx:1", "namespace not selected", 1)
    ]
    assert not [path for path in api.requests if path.startswith("/api/v1/pods")]


@pytest.mark.parametrize(
    ("forbidden", "note"),
    [
        ("", "the cluster has no webhook for policy default"),
        (WEBHOOKS, f"cannot list {WEBHOOKS}: you may not list them"),
    ],
)
def test_selection_that_cannot_be_read_is_a_note(rules, api, forbidden, note):
    api.forbidden = forbidden
    api.collections = {"/api/v1/pods": [pod("a", "nginx:1")]}
    result = run(rules, "--kubeconfig", str(api.kubeconfig))
    assert result.exit_code == 0
    assert result.stderr.startswith(f"Note: all namespaces count as selected: {note}")
    assert "would change on restart" in result.stdout


def test_cluster_that_cannot_be_read_is_an_error(rules, api):
    api.forbidden = "/api/v1/pods"
    result = run(rules, "--kubeconfig", str(api.kubeconfig))
    assert result.exit_code == 2
    assert "you may not list them (HTTP 403); give --kubeconfig FILE" in result.stderr


def test_observing_policy_is_a_note(tmp_path, rules):
    path = tmp_path / "observe.yaml"
    path.write_text(f"mode: observe\n{RULES}")
    result = run(str(path), "-", stdin="")
    assert result.stderr == "Note: policy default has mode observe, and changes no Pods\n"
    assert result.stdout == "No images found.\n"


MANIFESTS = [
    {"kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}, **pod_spec("nginx:1")},
    {"kind": "Pod", "metadata": {"name": "b", "namespace": "ci"}, **pod_spec("ghcr.io/b:1")},
    {"kind": "Deployment", "apiVersion": "apps/v1", **workload("c", "A|b\n<i>")},
]
STREAM = "\n---\n".join(map(json.dumps, MANIFESTS))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ("no rule", 1),
        ("kept, INVALID", 1),
        ("would change on restart", 1),
        ("kept,pull policy Never", 0),
        ("", 0),
    ],
)
def test_fail_on_sets_the_exit_code(rules, states, code):
    assert run(rules, "--fail-on", states, "-", stdin=STREAM).exit_code == code


def test_wrong_usage_has_exit_code_2(rules, tmp_path):
    unknown = run(rules, "--fail-on", "kept,unknown", "-", stdin=STREAM)
    assert (unknown.exit_code, "unknown state 'unknown'" in unknown.stderr) == (2, True)
    both = run(rules, "-n", "shop", rules)
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    environment = {"KUBECONFIG": str(tmp_path / "none")}
    assert CliRunner(env=environment).invoke(audit, ["-c", rules, rules]).exit_code == 0


def test_document_that_cannot_be_read_sets_the_exit_code(rules):
    result = run(rules, "-", stdin=f"{STREAM}\n---\n{{broken")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: standard input:7: ")
    assert "ghcr.io/b:1" in result.stdout


def test_json_has_the_documented_keys_and_a_summary(rules):
    result = json.loads(run(rules, "-o", "json", "-", stdin=STREAM).stdout)
    (table,) = re.findall(r"\| key \| value \|\n\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    documented = [
        key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert all(list(each) == documented for each in result["images"])
    assert result["summary"] == {
        "namespaces": {
            "ci": {"no rule": 1},
            "shop": {"invalid": 1, "would change on restart": 1},
        },
        "registries": {
            "": {"invalid": 1},
            "docker.io": {"would change on restart": 1},
            "ghcr.io": {"no rule": 1},
        },
    }


def test_csv_has_a_line_for_each_image(rules):
    result = run(rules, "-o", "csv", "-", stdin=STREAM)
    rows = [*csv.DictReader(io.StringIO(result.stdout))]
    entries = json.loads(run(rules, "-o", "json", "-", stdin=STREAM).stdout)["images"]
    assert rows == [
        {key: str("" if value is None else value) for key, value in entry.items()}
        for entry in entries
    ]


def test_tables_have_no_control_characters_or_markup_of_manifests(rules):
    table = run(rules, "-", stdin=STREAM).stdout
    assert "A|b\\n<i>" in table
    markdown = run(rules, "-o", "markdown", "-", stdin=STREAM).stdout
    assert "| A\\|b\\\\n\\<i\\> |" in markdown
    first, *_ = markdown.split("\n\n")
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in first.splitlines()} == {8}


def check_fields(value, schema, at):
    """Assert that a value has only fields of the definition, of the right type."""
    if isinstance(value, dict):
        if "any" in schema:
            assert all(isinstance(each, str) for each in value.values()), at
            return
        assert value.keys() <= schema.keys(), at
        for key, each in value.items():
            check_fields(each, schema[key], f"{at}.{key}")
    elif isinstance(value, list):
        for each in value:
            check_fields(each, schema[0], at)
    elif isinstance(schema, list):
        assert value in schema, at
    else:
        assert type(value).__name__ == schema, at


def test_policy_reports_have_the_fields_of_their_definition(rules):
    reports = json.loads(run(rules, "-o", "policyreport", "-", stdin=STREAM).stdout)
    assert (reports["apiVersion"], reports["kind"]) == ("v1", "List")
    ci, shop = reports["items"]
    for report in (ci, shop):
        check_fields(report, FIELDS, "")
    labels = {"app.kubernetes.io/managed-by": "mirrorhook"}
    assert shop["metadata"] == {
        "name": "mirrorhook-audit",
        "namespace": "shop",
        "labels": labels,
    }
    assert ci["summary"] == {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0}
    assert shop["summary"] == {"pass": 0, "fail": 0, "warn": 1, "error": 1, "skip": 0}
    deployment = next(each for each in shop["results"] if each["result"] == "error")
    assert deployment["resources"] == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "c", "namespace": "shop"}
    ]


@pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry")
def test_probe_finds_images_that_are_not_in_the_mirror(tmp_path):
    with registry(tmp_path) as full:
        dead = unused_port()
        push_image(full, "hub/library/nginx:1")
        path = tmp_path / "rules.yaml"
        path.write_text(
            f'rules:\n  - {{match: docker.io, mirrors: ["{full}/hub"]}}\n'
            f'  - {{match: quay.io, mirrors: ["{dead}/quay"]}}\n'
            f'availability: {{mode: check, timeout: 5s, plainHTTP: ["{full}", "{dead}"]}}\n'
        )
        images = [
            "nginx:1", "nginx:2", f"{full}/hub/library/nginx:1", f"{full}/hub/library/nginx:2",
            "quay.io/a:1", "ghcr.io/a:1",
        ]  # fmt: skip
        containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
        manifest = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers}}
        entries = read(str(path), "--probe", "-", stdin=json.dumps(manifest))
        failed = run(
            str(path), "--probe", "--fail-on", "not in the mirror", "-", stdin=json.dumps(manifest)
        )
    assert [each["state"] for each in entries] == [
        "would change on restart",
        "not in the mirror",
        "mirrored",
        "not in the mirror",
        "not in the mirror",
        "no rule",
    ]
    assert entries[0]["result"] == f"{full}/hub/library/nginx:1"
    assert entries[1]["reason"].startswith(
        f"no mirror is known to have it: {full}/hub/library/nginx:2 does not have"
    )
    assert "connection refused" in entries[4]["reason"]
    assert failed.exit_code == 1


@pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry")
@pytest.mark.parametrize(
    ("more", "state", "result"),
    [
        ("", "not in the mirror", "{dead}/hub/library/nginx:1"),
        ("availability: {{mode: check}}", "would change on restart", "{full}/hub/library/nginx:1"),
    ],
)
def test_probe_counts_the_mirrors_that_the_webhook_would_use(tmp_path, more, state, result):
    with registry(tmp_path) as full:
        names = {"dead": unused_port(), "full": full}
        push_image(full, "hub/library/nginx:1")
        rules = 'rules: [{{match: docker.io, mirrors: ["{dead}/hub", "{full}/hub"]}}]\n'
        more = more.replace("check", 'check, timeout: 5s, plainHTTP: ["{dead}", "{full}"]')
        path = tmp_path / "rules.yaml"
        path.write_text((rules + more).format(**names))
        manifest = {"kind": "Pod", "metadata": {"name": "a"}, **pod_spec("nginx:1")}
        (entry,) = read(str(path), "--probe", "-", stdin=json.dumps(manifest))
    assert (entry["state"], entry["result"]) == (state, result.format(**names))


def test_documentation_lists_every_state():
    (states,) = re.findall(r"\n## States\n(.*?)\n## ", PAGE, re.DOTALL)
    assert set(re.findall(r"^\| `(.*?)` \|", states, re.MULTILINE)) == set(ImageState)
    (results,) = re.findall(r"\| result \| states \|\n(.*?)\n\n", PAGE, re.DOTALL)
    assert set(re.findall(r"`([\w ]+)`[,| ]", results)) >= set(ImageState)


@pytest.fixture
def folder(tmp_path, api, rules):
    """Return a folder and the environment in which the commands of the page run."""
    (tmp_path / "bin").mkdir()
    for name, script in {"kustomize": "cat deploy/pod.json", "kubectl": "cat >applied"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/pod.json").write_text(json.dumps(MANIFESTS[0]))
    kubeconfig = json.loads(api.kubeconfig.read_text())
    kubeconfig["contexts"].append(
        {"name": "production", "context": kubeconfig["contexts"][0]["context"]}
    )
    api.kubeconfig.write_text(json.dumps(kubeconfig))
    cron = {"jobTemplate": {"spec": {"template": pod_spec("nginx:1.27")}}}
    runner = pod("runner", "ghcr.io/acme/runner:3")
    runner["metadata"]["namespace"] = "ci"
    api.collections = {
        f"{APPS}/deployments": [workload("web", "nginx:1.27")],
        f"{APPS}/replicasets": [workload("web-1", "nginx:1.27", owner=("Deployment", "web"))],
        f"{BATCH}/cronjobs": [{"metadata": metadata("nightly"), "spec": cron}],
        "/api/v1/pods": [
            runner,
            *(
                rewritten(name, f"{HUB}/library/nginx:1.27", "nginx:1.27", ("ReplicaSet", "web-1"))
                for name in ("web-1-a", "web-1-b")
            ),
        ],
    }
    return tmp_path


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--probe" not in each])
def test_every_command_of_the_page_succeeds(folder, api, command):
    done = typed(command, folder, KUBECONFIG=str(api.kubeconfig))
    assert done.returncode == 0, done.stderr
    if "kubectl apply" in command:
        assert json.loads((folder / "applied").read_text())["items"]


def test_probe_of_the_page_reports_a_mirror_that_does_not_exist(folder, api):
    (command,) = [each for each in COMMANDS if "--probe" in each]
    done = typed(command, folder, KUBECONFIG=str(api.kubeconfig))
    assert (done.returncode, "not in the mirror" in done.stdout) == (0, True)


def test_first_example_of_the_page_is_what_the_command_writes(folder, api):
    shown = PAGE.partition(f"$ {COMMANDS[0]}\n")[2].partition("```")[0]
    done = typed(COMMANDS[0], folder, KUBECONFIG=str(api.kubeconfig))
    assert done.stdout == shown


def test_audit_works_on_a_terminal(rules, api):
    api.collections = {"/api/v1/pods": [pod("a", "nginx:1")]}
    command = [sys.executable, "-m", "webhook", "audit", "-c", rules]
    environment = os.environ | {"KUBECONFIG": str(api.kubeconfig), "NO_COLOR": "1"}
    with (
        terminal(columns=70) as screen,
        subprocess.Popen(command, stdout=screen.end, stderr=screen.end, env=environment) as process,
    ):
        written = screen.written().decode()
    assert process.returncode == 0
    assert "Deployment" not in written
    assert max(map(len, written.split("\r\n"))) <= 160  # the note is not folded


# VmHWM, since ru_maxrss is never less than the memory of the process that forked.
MEASURE = """
import sys, time
from webhook.cli.main import mirrorhook
try:
    mirrorhook(["audit", "-c", sys.argv[1], "--kubeconfig", sys.argv[2], "-o", sys.argv[3]])
finally:
    used = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    print(time.process_time(), int(used[0]) // 1024, file=sys.stderr)
"""


def test_ten_thousand_pods_take_10_s_and_300_mb_at_most(rules, api):
    fields = {f"f:field{n}": {"f:value": {}, ".": {}} for n in range(150)}
    managed = [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}]
    api.collections = {
        f"{APPS}/replicasets": [
            workload(f"web{n}", f"web:{n}", owner=("Deployment", f"web{n}")) for n in range(1000)
        ],
        "/api/v1/pods": [
            pod(f"p{n}", f"web:{n // 10}", ("ReplicaSet", f"web{n // 10}"), managedFields=managed)
            for n in range(5000)
        ]
        + [pod(f"alone{n}", f"alone:{n}", managedFields=managed) for n in range(5000)],
    }
    command = [sys.executable, "-c", MEASURE, rules, str(api.kubeconfig), "policyreport"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = done.stderr.splitlines()[-1].split()
    assert done.stdout.count("alone4999") > 0
    assert float(seconds) < 10
    assert int(megabytes) < 300
