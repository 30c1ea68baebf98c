"""Files that somebody else writes: rules that vanish, and manifests made to be read for ever."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.attack.target import attacked, review_of_images, send
from tests.server.process import fail_to_serve, serving, until

RULES = "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"
ROOT = Path(__file__).resolve().parents[2]


def is_rewritten(webhook):
    (response,) = send(webhook, [review_of_images("nginx:1")])
    return "patch" in response.json()["response"]


def reload_result(webhook, folder):
    """Return whether the last reload was successful, and have the folder looked at again."""
    (folder / "other").touch()
    return webhook.metric("mirrorhook_config_last_reload_successful")


def vanish(path):
    path.unlink()


def empty(path):
    path.write_text("")


def write_empty_mapping(path):
    path.write_text("{}\n")


def write_comment(path):
    path.write_text("# nothing\n")


def become_fifo(path):
    path.unlink()
    os.mkfifo(path)


def become_socket(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def become_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change",
    [vanish, empty, write_empty_mapping, write_comment, become_fifo, become_folder, become_socket],
)
def test_the_last_good_rules_stay_when_the_file_goes(tmp_path, change):
    path = tmp_path / "rules.yaml"
    with attacked(tmp_path, RULES) as webhook:
        change(path)
        until(lambda: reload_result(webhook, tmp_path) == 0, "a failed reload")
        assert is_rewritten(webhook)
        assert webhook.ask("/readyz").status_code == 200
        webhook.wait_for("rules refused, the old ones stay in use")
        (path.rmdir if path.is_dir() else lambda: path.unlink(missing_ok=True))()
        path.write_text(RULES.replace("hub", "new"))
        until(lambda: reload_result(webhook, tmp_path) == 1, "the rules to be read again")
        assert webhook.stop() == 0


def publish(volume, folder, name):
    """Put rules into a ConfigMap volume under a key, and take others out, as the kubelet does."""
    (volume / folder).mkdir()
    (volume / folder / name).write_text(RULES)
    (volume / "..new").symlink_to(folder)
    (volume / "..new").replace(volume / "..data")
    if not (volume / name).is_symlink():
        (volume / name).symlink_to(f"..data/{name}")
    for link in volume.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()


def test_the_last_good_rules_stay_when_the_key_of_a_config_map_is_renamed(tmp_path):
    publish(tmp_path, "..1", "rules.yaml")
    with serving(tmp_path / "rules.yaml") as webhook:
        publish(tmp_path, "..2", "other.yaml")
        assert not (tmp_path / "rules.yaml").exists()
        webhook.wait_for("rules refused, the old ones stay in use")
        assert webhook.metric("mirrorhook_config_last_reload_successful") == 0
        assert webhook.ask("/readyz").status_code == 200
        assert is_rewritten(webhook)
        publish(tmp_path, "..3", "rules.yaml")
        webhook.wait_for("rules reloaded")


def test_a_fifo_does_not_hold_the_end_of_the_process(tmp_path):
    path = tmp_path / "rules.yaml"
    with attacked(tmp_path, RULES) as webhook:
        become_fifo(path)
        time.sleep(1)
        assert webhook.stop() == 0


@pytest.mark.parametrize("make", [None, empty, os.mkfifo])
def test_starting_without_rules_is_an_error(tmp_path, make):
    path = tmp_path / "rules.yaml"
    if make:
        make(path)
    assert str(path) in fail_to_serve(path, "--port", "0")


def aliases(levels):
    """Nested Lists, each of which names the one before ten times."""
    text = "l0: &l0 {kind: Pod, spec: {containers: [{name: a, image: nginx}]}}\n"
    for level in range(1, levels):
        items = ", ".join([f"*l{level - 1}"] * 10)
        text += f"l{level}: &l{level} {{kind: List, apiVersion: v1, items: [{items}]}}\n"
    return f"{text}kind: List\napiVersion: v1\nitems: [{', '.join([f'*l{levels - 1}'] * 10)}]\n"


def rewrite(*arguments, **options):
    command = [sys.executable, "-m", "webhook", "rewrite", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, **options
    )


CONTAINER = "{name: a, image: nginx}"


def many_pods_of_one_list(count):
    """As many Pods as containers, all of which share the same list of containers."""
    containers = ", ".join([CONTAINER] * count)
    pods = "".join("- {kind: Pod, spec: {containers: *c}}\n" for _ in range(count))
    return f"kind: List\napiVersion: v1\nx: &c [{containers}]\nitems:\n{pods}"


def many_lists_of_one_list(count):
    """Lists with the same items."""
    pods = ", ".join([f"{{kind: Pod, spec: {{containers: [{CONTAINER}]}}}}"] * count)
    lists = "- {kind: List, items: *p}\n" * count
    return f"kind: List\napiVersion: v1\nx: &p [{pods}]\nitems:\n{lists}"


def nested_tasks(levels):
    """An image path with many steps, each of which has the same ten items."""
    text = f"x: &l0 [{CONTAINER}]\n"
    for level in range(1, levels):
        text += f"x{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]\n"
    return f"kind: Tool\napiVersion: a/v1\n{text}spec: *l{levels - 1}\n"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (aliases(7), ()),
        (aliases(60), ()),
        (many_pods_of_one_list(3000), ()),
        (many_lists_of_one_list(3000), ()),
        (nested_tasks(9), ("--image-path", f"Tool=spec{'[*]' * 9}.image")),
    ],
    ids=["lists of aliases", "60 levels", "one list of containers", "one list of Pods", "path"],
)
def test_aliases_do_not_multiply_the_time(tmp_path, figure, request, text, options):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    began = time.monotonic()
    done = rewrite("-c", rules, *options, "-", input=text)
    took = time.monotonic() - began
    assert done.returncode == 0
    assert "harbor.example.com/hub/library/nginx" in done.stdout
    figure(f"13 rewrite of aliases, {request.node.callspec.id}", took * 1000, 5000, "ms")


def test_rewriting_a_folder_does_not_write_through_links_out_of_it(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    pod = "kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: nginx}]}\n"
    outside = tmp_path / "outside.yaml"
    outside.write_text(pod)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "pod.yaml").write_text(pod)
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path / "others")
    (folder / "own.yaml").write_text(pod)
    rewrite("-c", rules, "-i", folder)
    assert outside.read_text() == pod
    assert (tmp_path / "others" / "pod.yaml").read_text() == pod
    assert "harbor.example.com" in (folder / "own.yaml").read_text()


def test_no_temporary_file_stays_after_sigterm(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    folder = tmp_path / "manifests"
    folder.mkdir()
    pod = "---\nkind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: nginx}]}\n"
    names = {f"{number}.yaml" for number in range(400)}
    for name in names:
        (folder / name).write_text(pod * 40)
    for wait in (0.4, 0.6, 0.8, 1.0, 1.2):
        process = subprocess.Popen(
            [sys.executable, "-m", "webhook", "rewrite", "-c", rules, "-i", folder],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        process.send_signal(signal.SIGHUP if wait == 0.6 else signal.SIGTERM)
        process.wait(20)
        assert {path.name for path in folder.iterdir()} == names
