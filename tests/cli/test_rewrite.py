"""`mirrorhook rewrite`: options, output and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tools.terminal import terminal
from webhook.cli.main import mirrorhook

POD = "kind: Pod\nspec:\n  containers:\n  - {name: a, image: nginx}  # keep\n"
NEW = POD.replace("nginx", "m.example/hub/library/nginx")
BAD = POD.replace("nginx", "'Not Good'")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command in a folder with rules."""
    monkeypatch.chdir(tmp_path)
    rules = tmp_path / "rules.yaml.txt"
    rules.write_text("rules: [{match: docker.io, mirrors: [m.example/hub]}]\n")

    def run(*arguments, stdin=""):
        return CliRunner().invoke(
            mirrorhook, ["rewrite", "--config", str(rules), *arguments], input=stdin
        )

    return run


def test_rewrite_reads_standard_input(call):
    done = call(stdin=POD)
    assert (done.exit_code, done.stdout, done.stderr) == (0, NEW, "")


def test_rewrite_does_not_change_the_file_without_in_place(call):
    Path("a.yaml").write_text(POD)
    assert call("a.yaml").stdout == NEW
    assert Path("a.yaml").read_text() == POD


def test_rewrite_joins_files_to_one_stream(call):
    Path("a.yaml").write_text(POD.rstrip("\n"))
    Path("b.yaml").write_text("---\n" + POD)
    Path("c.json").write_text('{"kind": "Pod"}')
    done = call("a.yaml", "-", "b.yaml", "c.json", stdin=POD)
    assert done.stdout == f'{NEW}---\n{NEW}---\n{NEW}---\n{{"kind": "Pod"}}'


def test_rewrite_reads_folders_in_order_without_hidden_files(call):
    for name in ("d/b.yml", "d/a.yaml", "d/sub/c.json", "d/.git/x.yaml", "d/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(POD)
    entries = json.loads(call("d", "-o", "json").stdout)
    assert [entry["file"] for entry in entries] == ["d/a.yaml", "d/b.yml", "d/sub/c.json"]


def test_rewrite_warns_about_a_folder_without_manifests(call):
    Path("d").mkdir()
    done = call("d")
    assert done.exit_code == 0
    assert "d contains no .json, .yaml or .yml file" in done.stderr


def test_rewrite_in_place_writes_changed_files_only(call):
    Path("a.yaml").write_text(POD)
    Path("a.yaml").chmod(0o640)
    Path("same.yaml").write_text("kind: Pod\n")
    os.utime("same.yaml", (1, 1))
    Path("link.yaml").symlink_to("a.yaml")
    done = call("--in-place", "link.yaml", "same.yaml")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "link.yaml: 1 image rewritten\n"
    assert Path("a.yaml").read_text() == NEW
    assert Path("a.yaml").stat().st_mode & 0o777 == 0o640
    assert Path("link.yaml").is_symlink()
    assert Path("same.yaml").stat().st_mtime == 1
    assert sorted(path.name for path in Path().iterdir() if path.name.startswith(".")) == []


def test_rewrite_diff_writes_nothing(call):
    Path("a.yaml").write_text(POD)
    done = call("--diff", "a.yaml")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == ["--- a/a.yaml", "+++ b/a.yaml"]
    assert "-  - {name: a, image: nginx}  # keep" in done.stdout
    assert "+  - {name: a, image: m.example/hub/library/nginx}  # keep" in done.stdout
    assert Path("a.yaml").read_text() == POD


def test_rewrite_json_lists_each_image(call):
    Path("a.yaml").write_text(POD)
    assert json.loads(call("-o", "json", "a.yaml").stdout) == [
        {
            "file": "a.yaml",
            "line": 4,
            "kind": "Pod",
            "namespace": None,
            "object": None,
            "name": "a",
            "image": "nginx",
            "outcome": "rewritten",
            "result": "m.example/hub/library/nginx",
            "reason": "rule docker.io → m.example/hub",
        }
    ]


def test_json_names_the_object_of_each_image(call):
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    items = [
        {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}, "spec": spec},
        {"kind": "Pod", "metadata": {"generateName": "job-"}, "spec": spec},
        {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}},
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    documents = f"{json.dumps(listed)}\n---\n{json.dumps(items[0])}\n"
    found = json.loads(call("-o", "json", stdin=documents).stdout)
    assert [(each["kind"], each["namespace"], each["object"]) for each in found] == [
        ("Pod", "shop", "web-1"),
        ("Pod", None, "job-"),
        ("Deployment", None, "web"),
        ("Pod", "shop", "web-1"),
    ]


def test_rewrite_fails_on_an_invalid_image_and_rewrites_the_rest(call):
    done = call(stdin=f"{POD}---\n{BAD}")
    assert done.exit_code == 1
    assert done.stdout == f"{NEW}---\n{BAD}"
    assert done.stderr == (
        "Error: standard input:9: image 'Not Good' is unchanged: it contains white space\n"
    )


def test_rewrite_fails_on_invalid_yaml_and_rewrites_the_rest(call):
    done = call(stdin=f"image: {{{{ .x }}}}: a\n---\n{POD}")
    assert done.exit_code == 1
    assert done.stdout.endswith(NEW)
    assert "Error: standard input:1: it is not valid YAML" in done.stderr


def test_rewrite_warns_about_a_shared_anchor(call):
    text = "kind: Pod\nspec: {containers: [{image: &a nginx, name: *a}]}\n"
    done = call(stdin=text)
    assert (done.exit_code, done.stdout) == (0, text)
    assert "Warning: standard input:2: nginx is unchanged" in done.stderr
    entry = json.loads(call("-o", "json", stdin=text).stdout)[0]
    assert entry["result"] == "nginx"
    assert "is also used for something else" in entry["reason"]


def test_rewrite_supports_custom_kinds_by_option(call):
    text = "kind: Tool\nspec: {image: nginx}\n"
    assert call(stdin=text).stdout == text
    done = call("--image-path", "Tool=spec.image", stdin=text)
    assert done.stdout == text.replace("nginx", "m.example/hub/library/nginx")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--in-place",), "--in-place needs files"),
        (("--in-place", "-"), "--in-place needs files"),
        (("--in-place", "--diff", "."), "either --in-place or --diff"),
        (("none.yaml",), "'none.yaml' does not exist"),
        (("--image-path", "Tool"), "'Tool' is not KIND[.GROUP]=PATH"),
        (("--policy", "x", "."), "unknown policy 'x'"),
    ],
)
def test_rewrite_reports_wrong_usage(call, arguments, told):
    done = call(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr


def test_rewrite_does_not_wait_for_a_terminal():
    with terminal() as screen:
        done = subprocess.run(
            [sys.executable, "-m", "webhook", "rewrite", "-p", "daocloud"],
            cwd=Path(__file__).parents[2],
            stdin=screen.end,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "give files, folders, or manifests on standard input" in done.stderr


def test_rewrite_in_place_names_a_file_that_cannot_be_written(call):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    Path("d").mkdir()
    Path("d/a.yaml").write_text(POD)
    Path("d").chmod(0o500)
    done = call("--in-place", "d")
    assert done.exit_code == 1
    assert "d/a.yaml" in done.stderr


def test_rewrite_in_place_leaves_out_links_that_lead_out_of_a_folder(call):
    for name in ("d/own.yaml", "outside.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(POD)
    Path("d/link.yaml").symlink_to("../outside.yaml")
    done = call("--in-place", "d")
    assert done.exit_code == 0
    assert "Warning: d/link.yaml is unchanged: it is a link that leads out of d" in done.stderr
    assert Path("outside.yaml").read_text() == POD
    assert Path("d/own.yaml").read_text() == NEW
    assert call("d").stdout.count(NEW) == 2


def test_rewrite_fails_on_a_link_to_nothing_in_a_folder(call):
    Path("d").mkdir()
    Path("d/a.yaml").symlink_to("nothing")
    done = call("d")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'d/a.yaml': No such file or directory" in done.stderr


def test_rewrite_warns_about_a_pipe_in_a_folder(call):
    Path("d").mkdir()
    os.mkfifo("d/a.yaml")
    assert "Warning: d/a.yaml is not a regular file: it is skipped" in call("d").stderr


def test_rewrite_warns_once_for_each_anchor(call):
    uses = "".join(f"  - {{name: n{number}, image: *i}}\n" for number in range(5))
    shared = f"kind: Pod\nspec:\n  containers:\n  - {{image: &i nginx, name: *i}}\n{uses}"
    done = call(stdin=shared)
    assert (done.exit_code, done.stdout) == (0, shared)
    assert done.stderr.count("Warning") == 1
    invalid = shared.replace("nginx, name: *i", "Not Good")
    assert call(stdin=invalid).stderr.count("Error") == 1


def test_rewrite_counts_an_anchored_image_once(call):
    Path("a.yaml").write_text(
        "kind: List\nitems:\n- &p {kind: Pod, spec: {containers: [{image: nginx}]}}\n- *p\n- *p\n"
    )
    assert call("--in-place", "a.yaml").stderr == "a.yaml: 1 image rewritten\n"


def test_rewrite_warns_about_an_image_path_that_matches_nothing(call):
    text = "kind: Tool\nspec: {image: nginx}\n---\napiVersion: argoproj.io/v1\nkind: Rollout\n"
    paths = ["Tool=spec.image", "Tool=spec.imgae", "Other.example.com=spec.steps[*].image"]
    done = call(*[part for path in paths for part in ("--image-path", path)], stdin=text)
    assert done.exit_code == 0
    assert sorted(done.stderr.splitlines()) == [
        "Warning: --image-path Other.example.com=spec.steps[*].image matches nothing here",
        "Warning: --image-path Tool=spec.imgae matches nothing here",
    ]


def test_rewrite_accepts_an_image_path_that_is_built_in(call):
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n"
        "spec: {template: {spec: {containers: [{image: nginx}]}}}\n"
    )
    done = call("--image-path", "Rollout.argoproj.io=spec.template", stdin=text)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == text.replace("nginx", "m.example/hub/library/nginx")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: [a\n", 1),
        ('{"kind":"Pod"\n', 1),
        ("kind: Pod\nspec:\n  containers:\n  - image: {{ .Values.image }}\n", 4),
    ],
)
def test_rewrite_fails_on_what_is_no_manifest(call, text, line):
    done = call(stdin=text)
    assert (done.exit_code, done.stdout) == (1, text)
    assert f"Error: standard input:{line}: " in done.stderr


def test_rewrite_changes_a_file_with_a_byte_that_is_not_utf_8(call):
    Path("a.yaml").write_bytes(POD.replace("keep", "caf").encode() + b"# \xe9\n")
    done = call("--in-place", "a.yaml")
    assert done.exit_code == 1
    assert "Error: a.yaml:5: byte 0xe9 is not UTF-8" in done.stderr
    assert b"m.example/hub/library/nginx" in Path("a.yaml").read_bytes()
