"""What a running Pod of the webhook can do on its node, as the kernel and the Pod itself see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, replicas
from tests.cluster.processes import until
from tests.cluster.world import pod

USER = 65532
EVERY_CAPABILITY = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
FILTERED = "2"  # SECCOMP_MODE_FILTER
# Nothing that an intruder or a scanner looks for: shells, package managers, compilers, clients.
UNWANTED = {
    *("sh", "bash", "dash", "ash", "busybox", "perl"),
    *("apt", "apt-get", "dpkg", "apk", "rpm", "yum", "pip", "pip3"),
    *(
        "cc",
        "gcc",
        "ld",
        "make",
        "awk",
        "tar",
        "openssl",
        "curl",
        "wget",
        "nc",
        "ssh",
        "su",
        "sudo",
        "mount",
    ),
}
# Runs in the Pod, and writes what it could do.
INTRUDER = r"""
import ctypes, importlib.util, json, os, socket, stat, sys, tempfile

def fails(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return error.strerror
    return ""

KEYCTL = {"x86_64": 250, "aarch64": 219}
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def write(folder):
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")

writable, special, programs = [], [], []
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = [each for each in folders if each not in {"proc", "sys", "dev"}]
    if not fails(write, folder):
        writable.append(folder)
    for name in files:
        mode = os.lstat(f"{folder}/{name}").st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            special.append(f"{folder}/{name}")
        if not stat.S_ISDIR(mode) and os.access(f"{folder}/{name}", os.X_OK):
            programs.append(name)
print(json.dumps({
    "writable": writable,
    "special": special,
    "programs": programs,
    "pip": bool(importlib.util.find_spec("pip")),
    "refused": {
        "become root": fails(os.setuid, 0),
        "change an owner": fails(os.chown, "/tmp", 0, 0),
        "open a raw socket": fails(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
        "mount": fails(call, "mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "make a user namespace": fails(call, "unshare", 0x10000000),
        "load a key": fails(call, "syscall", KEYCTL[os.uname().machine], 0),
        "change the kernel": fails(open, "/proc/sys/kernel/hostname", "w"),
        "write its own code": fails(open, "/opt/mirrorhook/webhook/__init__.py", "a"),
        "write its rules": fails(open, "/etc/mirrorhook/rules/rules.yaml", "a"),
    },
}))
"""


@pytest.fixture(scope="module")
def webhook(installed):
    """The name and identifier of a Pod of the webhook."""
    until(lambda: len(replicas(installed)) == 2, "two replicas")
    found = replicas(installed)[0]["metadata"]
    return found["name"], found["uid"]


def processes_of(uid):
    """Return the folders in /proc of the processes of a Pod, without its pause container."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            group, command = (each / "cgroup").read_text(), (each / "cmdline").read_bytes()
        except OSError:
            continue
        if f"pod{uid}" in group and b"webhook" in command.split(b"\0"):
            found.append(each)
    return found


def test_kernel_confines_the_process_of_the_webhook(webhook):
    _, uid = webhook
    (process,) = processes_of(uid)
    lines = (process / "status").read_text().splitlines()
    status = {key: value.split() for key, value in (line.split(":", 1) for line in lines)}
    assert status["Uid"] == status["Gid"] == [str(USER)] * 4
    assert set(status["Groups"]) <= {str(USER)}
    assert {int(status[each][0], 16) for each in EVERY_CAPABILITY} == {0}
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == [FILTERED]


def test_intruder_in_the_webhook_finds_nothing_to_write_or_to_run(node, webhook):
    name, _ = webhook
    output = node.plane.kubectl("exec", "-n", NAME, name, "--", "python3", "-c", INTRUDER)
    found = json.loads(output)
    assert found["writable"] == ["/tmp"]
    assert all(found["refused"].values()), found["refused"]
    assert found["special"] == []
    assert "python3" in found["programs"]
    assert UNWANTED & set(found["programs"]) == set()
    assert not found["pip"]


@pytest.mark.parametrize("shell", ["sh", "/bin/bash"])
def test_nobody_gets_a_shell_in_the_webhook(node, webhook, shell):
    name, _ = webhook
    with pytest.raises(AssertionError, match=r"no such file|not found"):
        node.plane.kubectl("exec", "-n", NAME, name, "--", shell, "-c", "true")


def test_namespace_that_enforces_the_restricted_standard_admits_the_webhook(node, installed):
    api = node.plane.api
    space = f"/api/v1/namespaces/{NAME}"
    level = "pod-security.kubernetes.io/enforce"
    spec = api.get(namespaced("apps/v1/deployments", NAME, NAME))["spec"]["template"]["spec"]
    api.patch(space, {"metadata": {"labels": {level: "restricted"}}})
    try:
        path = namespaced("pods", NAME)
        admitted = {"metadata": {"name": "again"}, "spec": spec}
        assert api.ask("POST", path, admitted, dryRun="All").is_success
        refused = api.ask("POST", path, pod("nginx"), dryRun="All")
        assert "violates PodSecurity" in refused.json()["message"]
    finally:
        api.patch(space, {"metadata": {"labels": {level: None}}})
