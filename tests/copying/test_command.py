"""The command around the engines: sources, plans, archives, terminals and signals."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import termios
import time
from threading import Thread

import pytest
import trustme

from tests.cli.listing_api import APPS, Api, pod, workload
from tests.copying.test_engines import HTPASSWD, LOGIN
from tests.copying.world import World, manifest_at
from tests.tools.registry import push_image, push_index, registry
from tests.tools.terminal import terminal


def put(world, name, **more):
    return push_image(world.upstream, f"{world.team}/{name}", **more)


# Sources


def test_images_come_from_arguments_standard_input_and_manifests(skopeo_world, tmp_path):
    world = skopeo_world
    for name in ("a", "b", "c", "d", "e"):
        put(world, f"{name}:1", content=name)
    image = f"{world.upstream}/{world.team}"
    folder = tmp_path / "deploy"
    folder.mkdir()
    containers = [
        {"name": "c", "image": f"{image}/c:1"},
        {"name": "d", "image": f"{image}/d:1", "imagePullPolicy": "Never"},
    ]
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}}
    (folder / "a.json").write_text(json.dumps(pod))
    (folder / "bad.yaml").write_text("image: [")
    stdin = f"# list\n{image}/b:1\n{image}/b:1\n"
    done = world.run("=a:1", "-", "--manifests", folder, stdin=stdin)
    assert done.returncode == 1
    assert "bad.yaml:1: it is not valid YAML" in done.stderr
    assert [bool(world.at_mirror(f"{name}:1")) for name in "abcd"] == [True, True, True, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give images, --manifests FILE or --cluster"),
        (("-",), "there is no image to copy"),
        (("=a:1", "--platform", "linux"), "is not a platform"),
        (("=a:1", "--plain-http", "http://a"), "is not a registry"),
        (("=a:1", "--archive", "x"), "give --archive DIR with --save or --load"),
        (("=a:1", "--archive", "x", "--save", "--load"), "give either --save or --load, not both"),
        (("=a:1", "--archive", "x", "--save", "--plan", "list"), "either --archive or --plan"),
        (("=a:1", "--plan-file", "x"), "--plan-file needs --plan"),
        (("=a:1", "--cluster", "-n", "a/b"), "'a/b' is not the name of a namespace"),
        (("=a:1", "-n", "shop"), "--namespace and --context need --cluster"),
        (
            ("=a:1", "--archive", "/proc/none/x", "--save"),
            "/proc/none/x cannot be created: No such",
        ),
        (("--archive", "none", "--load"), "No such file or directory; give a folder that"),
        (("--cluster", "--kubeconfig", "none"), "whose Pods and workloads you may list"),
    ],
)
def test_wrong_usage_is_an_error(skopeo_world, arguments, message):
    done = skopeo_world.run(*arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_json_has_the_promised_keys(skopeo_world):
    world = skopeo_world
    digest = put(world, "keys:1")
    image = f"{world.upstream}/{world.team}/keys:1"
    first, second, third = world.json("=keys:1", "quay.io/a/b:1", "BAD")
    assert first == {
        "image": image,
        "status": "copied",
        "source": image,
        "target": f"{world.mirror}/m/{world.team}/keys:1",
        "digest": digest,
        "reason": f"rule {world.upstream} → {world.mirror}/m",
        "notes": [],
        "engine": "skopeo",
    }
    assert (second["status"], second["target"], second["digest"]) == ("skipped", None, None)
    assert third["status"] == "failed"


def test_mirror_over_tls_is_trusted_by_the_ca_of_the_rules(tmp_path, upstream, engine):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    pair = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    blobs = tmp_path / "blobs"
    with (
        registry(tmp_path, blobs=blobs, certificate=pair) as mirror,
        registry(tmp_path, blobs=blobs) as beside,
    ):
        ca = f", ca: {tmp_path}/ca.pem"
        without = World(tmp_path, upstream, mirror, engine, plain=[upstream])
        world = World(tmp_path, upstream, mirror, engine, plain=[upstream], ca=ca)
        digest = put(world, "tls:1")
        put(without, "tls:1")
        refused = without.run("=tls:1")
        (entry,) = world.json("=tls:1")
        found = manifest_at(beside, f"m/{world.team}/tls", "1")[1]
    assert refused.returncode == 1
    assert "certificate" in refused.stdout
    assert (entry["status"], found) == ("copied", digest)


# Plans


def test_list_has_source_and_target_of_each_image(regctl_world):
    world = regctl_world
    world.environment["PATH"] = "/nowhere"  # plans need neither an engine nor a registry
    done = world.run("=a:1", f"=b:1@sha256:{'a' * 64}", "quay.io/a/b:1", "--plan", "list")
    up, mirror = f"{world.upstream}/{world.team}", f"{world.mirror}/m/{world.team}"
    assert done.stdout.splitlines() == [
        f"{up}/a:1 {mirror}/a:1",
        f"{up}/b@sha256:{'a' * 64} {mirror}/b@sha256:{'a' * 64}",
    ]
    assert done.stderr.startswith("skipped quay.io/a/b:1: no rule matches")
    assert done.returncode == 0
    assert world.run("BAD", "--plan", "list").returncode == 1


def test_plan_that_cannot_be_written_is_a_failure(regctl_world):
    done = regctl_world.run("=a:1", "--plan", "list", "--plan-file", "no/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'no/x': No such file or directory" in done.stderr


def test_regsync_runs_its_plan(regctl_world, regsync, tmp_path):
    world = regctl_world
    digest = put(world, "a:1", content="a")
    pinned = put(world, "b:1", content="b")
    push_index(world.upstream, f"{world.team}/c:1", ("amd64", "arm64"))
    done = world.run("=a:1", f"=b:1@{pinned}", "--plan", "regsync")
    one = world.run("=c:1", "--plan", "regsync", "--platform", "linux/arm64", "--referrers")
    for number, plan in enumerate((done, one)):
        file = tmp_path / f"regsync{number}.yaml"
        file.write_text(plan.stdout)
        subprocess.run([regsync, "once", "-c", file], check=True, env=world.environment)
    assert world.at_mirror("a:1") == digest
    assert world.at_mirror(f"b@{pinned}") == pinned
    assert world.at_mirror("c:1")


def test_regsync_trusts_the_ca_of_the_rules_and_uses_the_login_of_docker(
    tmp_path, upstream, regsync
):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    pair = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    blobs = tmp_path / "blobs"
    with (
        registry(tmp_path, blobs=blobs, certificate=pair, passwords=HTPASSWD) as mirror,
        registry(tmp_path, blobs=blobs) as beside,
    ):
        ca = f", ca: {tmp_path}/ca.pem"
        world = World(tmp_path, upstream, mirror, "regctl", plain=[upstream], ca=ca)
        digest = put(world, "tls:1")
        config = world.home / ".docker/config.json"
        config.write_text(json.dumps({"auths": {mirror: LOGIN}}))
        file = tmp_path / "regsync.yaml"
        done = world.run("=tls:1", "--plan", "regsync", "--plan-file", file)
        command = [regsync, "once", "-c", file]
        subprocess.run(command, check=True, env=world.environment)
        found = manifest_at(beside, f"m/{world.team}/tls", "1")[1]
    assert (done.returncode, done.stdout) == (0, "")
    assert found == digest


def test_several_platforms_need_a_script_where_registries_refuse_incomplete_indexes(
    regctl_world, regsync, tmp_path
):
    world = regctl_world
    push_index(world.upstream, f"{world.team}/c:1", ("amd64", "arm64", "s390x"))
    options = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    done = world.run("=c:1", "--plan", "regsync", *options)
    file = tmp_path / "regsync.yaml"
    file.write_text(done.stdout)
    refused = subprocess.run(
        [regsync, "once", "-c", file], check=False, env=world.environment, capture_output=True
    )
    assert refused.returncode != 0
    assert b"blob unknown to registry" in refused.stderr
    assert world.at_mirror("c:1") is None
    assert "most registries refuse; use --plan script --engine regctl" in done.stderr
    pinned = put(world, "one:1")
    script = world.run("=c:1", f"=one@{pinned}", "--plan", "script", *options).stdout
    subprocess.run(["/bin/sh"], input=script, text=True, check=True, env=world.environment)
    index, _ = manifest_at(world.mirror, f"m/{world.team}/c", "1")
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    assert world.at_mirror(f"one@{pinned}") == pinned
    (again,) = world.json("=c:1", *options)
    assert again["status"] == "present"


@pytest.mark.parametrize("plan", ["script", "skopeo"])
def test_script_of_another_engine_names_regctl_for_platforms(skopeo_world, plan):
    done = skopeo_world.run(
        "=a:1", "--engine", "skopeo", "--plan", plan, "--platform", "linux/arm64"
    )
    assert done.returncode == 2
    assert "use --plan script --engine regctl" in done.stderr


@pytest.mark.usefixtures("skopeo")
@pytest.mark.parametrize("plan", ["script", "skopeo"])
def test_shell_runs_a_script(world, plan):
    digest = put(world, "app:1")
    world.link("skopeo")
    options = ["--plan", plan] + (["--engine", world.engine] if plan == "script" else [])
    done = world.run("=app:1", *options)
    program = world.engine if plan == "script" else "skopeo"
    assert done.stdout.splitlines()[2].startswith(f"{program} ")
    subprocess.run(["/bin/sh"], input=done.stdout, text=True, check=True, env=world.environment)
    assert world.at_mirror("app:1") == digest
    failed = world.run("=none:1", *options).stdout
    done = subprocess.run(["/bin/sh"], input=failed, text=True, check=False, env=world.environment)
    assert done.returncode == 1


# Archives


@pytest.fixture(params=["regctl", "skopeo"])
def archiver(request, tmp_path, upstream, mirror):
    return request.getfixturevalue(f"{request.param}_world")


def test_archive_carries_images_without_a_network(archiver, tmp_path):
    world = archiver
    one = push_index(world.upstream, f"{world.team}/one:1", ("amd64", "arm64"))
    two = put(world, "two:1", content="two")
    archive = ("--archive", tmp_path / "usb")
    saved = world.run("=one:1", f"=two:1@{two}", *archive, "--save")
    again = world.json("=one:1", *archive, "--save")
    names = sorted(
        each["annotations"]["org.opencontainers.image.ref.name"]
        for each in json.loads((tmp_path / "usb/index.json").read_text())["manifests"]
    )
    prefix = f"{world.upstream}/{world.team}"
    assert saved.returncode == 0, saved.stderr
    assert names == [f"{prefix}/one:1", f"{prefix}/two:1@{two}"]
    assert saved.stdout.splitlines()[1].startswith("saved ")
    assert saved.stderr.splitlines()[-1] == "2 saved"
    assert "copied" not in saved.stdout + saved.stderr
    assert again[0]["status"] == "present"
    assert world.at_mirror("one:1") is None
    # On the other side nothing answers for upstream.
    loaded = world.run(*archive, "--load", stdin="")
    assert loaded.stderr.splitlines()[-1] == "2 copied", loaded.stderr
    assert (world.at_mirror("one:1"), world.at_mirror("two:1")) == (one, two)
    repeated = world.json(*archive, "--load")
    assert {each["status"] for each in repeated} == {"present"}
    (missing,) = world.json("=three:1", *archive, "--load")
    assert (missing["status"], "the archive does not have" in missing["reason"]) == ("failed", True)


@pytest.mark.usefixtures("skopeo")
def test_archive_of_one_engine_is_loaded_by_the_other(regctl_world, tmp_path):
    digest = put(regctl_world, "both:1")
    archive = ("--archive", tmp_path / "usb")
    regctl_world.run("=both:1", *archive, "--save")
    regctl_world.link("skopeo")
    done = regctl_world.run(*archive, "--load", "--engine", "skopeo")
    assert done.returncode == 0, done.stderr
    assert regctl_world.at_mirror("both:1") == digest


def test_image_replaces_the_one_of_the_same_name_in_an_archive(archiver, tmp_path):
    archive = ("--archive", tmp_path / "usb")
    put(archiver, "new:1", content="old")
    archiver.run("=new:1", *archive, "--save")
    digest = put(archiver, "new:1", content="new")
    archiver.run("=new:1", *archive, "--save")
    (entry,) = json.loads((tmp_path / "usb/index.json").read_text())["manifests"]
    assert entry["digest"] == digest


def test_folder_that_is_not_an_archive_is_an_error(skopeo_world, tmp_path):
    (tmp_path / "index.json").write_text("[]")
    done = skopeo_world.run("--archive", tmp_path, "--load")
    assert done.returncode == 2
    assert "is not the index of an OCI image layout; give a folder" in done.stderr


def test_crane_names_the_engines_that_can_archive(tmp_path, world):
    if world.engine != "crane":
        pytest.skip("the others can")
    done = world.run("=a:1", "--archive", tmp_path / "usb", "--save")
    assert done.returncode == 2
    assert "use --engine regctl or --engine skopeo" in done.stderr


# Terminals and signals


def test_both_streams_may_be_one_terminal(skopeo_world):
    put(skopeo_world, "tty:1")
    with (
        terminal(200) as screen,
        subprocess.Popen(
            skopeo_world.command("=tty:1", "=none:1", f"=tty@sha256:{'0' * 64}"),
            env=skopeo_world.environment,
            stdin=screen.end,
            stdout=screen.end,
            stderr=screen.end,
        ) as process,
    ):
        written = screen.written().decode()
    assert process.returncode == 1, written
    assert "Traceback" not in written
    assert "Copying images" in written
    assert "0/3" in written
    assert "TARGET OR REASON" in written
    assert "1 copied, 2 failed" in written


SLOW = "#!/bin/sh\ntrap 'echo stopped >> $HOME/log; exit 1' TERM\necho began >> $HOME/log\n"
SLOW += "while true; do sleep 0.1; done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_engine_and_reports_what_was_done(skopeo_world, number):
    world = skopeo_world
    put(world, "done:1", content="done")
    put(world, "slow:1", content="slow")
    world.run("=done:1")
    program = world.home / "bin/skopeo"
    program.unlink()
    program.write_text(SLOW)
    program.chmod(0o755)
    log = world.home / "log"
    with subprocess.Popen(
        world.command("=done:1", "=slow:1", "-o", "json"),
        env=world.environment | {"PATH": f"{world.home}/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert log.read_text().split() == ["began", "stopped"]
    assert [each["status"] for each in json.loads(output)] == ["present", "stopped"]
    last = errors.splitlines()[-1]
    name = signal.Signals(number).name
    assert last == f"Stopped by {name}: 1 present, 1 stopped; run it again to copy the rest"


def test_ctrl_c_on_a_terminal_stops_the_engine(skopeo_world):
    world = skopeo_world
    put(world, "slow:1", content="slow")
    program = world.home / "bin/skopeo"
    program.unlink()
    program.write_text(SLOW)
    program.chmod(0o755)
    log = world.home / "log"

    def press(screen):
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.write(screen._ours, b"\x03")

    with (
        terminal(200) as screen,
        subprocess.Popen(
            world.command("=slow:1"),
            env=world.environment | {"PATH": f"{world.home}/bin:/usr/bin:/bin"},
            stdin=screen.end,
            stdout=screen.end,
            stderr=screen.end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        ) as process,
    ):
        Thread(target=press, args=(screen,)).start()
        written = screen.written().decode()
    assert process.returncode == 130, written
    assert log.read_text().split() == ["began", "stopped"]
    assert "Stopped by SIGINT: 1 stopped; run it again" in written
    assert "Traceback" not in written


def test_engine_that_cannot_be_run_is_an_error(skopeo_world):
    put(skopeo_world, "broken:1")
    program = skopeo_world.home / "bin/skopeo"
    program.unlink()
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    (entry,) = skopeo_world.json("=broken:1")
    assert entry["reason"] == "skopeo: cannot be run: No such file or directory"


def test_cluster_gives_the_images_before_they_were_rewritten(skopeo_world, tmp_path):
    world = skopeo_world
    for name in ("a", "b", "c", "d", "e"):
        put(world, f"{name}:1", content=name)
    image = f"{world.upstream}/{world.team}"
    rewritten = pod("web", f"{world.mirror}/m/{world.team}/a:1")
    rewritten["metadata"]["annotations"] = {
        "mirrorhook.io/original-images": json.dumps({"main": f"{image}/a:1"})
    }
    changed = pod("changed", f"{image}/d:1")  # since it was rewritten
    changed["metadata"]["annotations"] = {
        "mirrorhook.io/original-images": json.dumps({"main": f"{image}/gone:1"})
    }
    local = pod("local", f"{image}/c:1")
    local["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    api = Api(tmp_path)
    try:
        api.collections = {
            "/api/v1/pods": [rewritten, changed, pod("plain", f"{image}/b:1"), local],
            f"{APPS}/deployments": [workload("zero", f"{image}/e:1", replicas=0)],
        }
        done = world.run("--cluster", "--kubeconfig", api.kubeconfig, "--context", "here")
    finally:
        api.close()
    assert done.returncode == 0, done.stderr
    assert [bool(world.at_mirror(f"{name}:1")) for name in "abcde"] == [
        *(True, True, False, True, True)
    ]


def test_plan_of_a_cluster_leaves_out_what_nobody_can_pull(regctl_world, tmp_path):
    world = regctl_world
    image = f"{world.upstream}/{world.team}/a:1"
    api = Api(tmp_path)
    try:
        api.collections = {"/api/v1/pods": [pod("bad", "BAD NAME"), pod("good", image)]}
        kubeconfig = ("--cluster", "--kubeconfig", api.kubeconfig)
        done = world.run(*kubeconfig, "--plan", "list")
        given = world.run(*kubeconfig, "BAD NAME", "--plan", "list")
    finally:
        api.close()
    assert done.returncode == 0
    assert done.stdout == f"{image} {world.mirror}/m/{world.team}/a:1\n"
    assert done.stderr.startswith("skipped BAD NAME: ")
    assert given.returncode == 1
    assert given.stdout == done.stdout


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a:1", "b:1", "c:1", "d:1"], 2), (["e:1", "e:2", "e:3", "e:4"], 1)],
    ids=["different repositories", "one repository"],
)
def test_images_are_copied_in_parallel_unless_they_share_a_repository(
    skopeo_world, names, expected
):
    world = skopeo_world
    for name in names:
        put(world, name, content=name)
    real = os.path.realpath(world.home / "bin/skopeo")
    program = world.home / "bin/skopeo"
    program.unlink()
    program.write_text(
        f'#!/bin/sh\necho + >> $HOME/log\nsleep 1\n{real} "$@"\ncode=$?\n'
        "echo - >> $HOME/log\nexit $code\n"
    )
    program.chmod(0o755)
    path = {"PATH": f"{world.home}/bin:/usr/bin:/bin"}
    world.run(*(f"={name}" for name in names), "--parallel", "2", **path)
    running = most = 0
    for line in (world.home / "log").read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most == expected
    assert all(map(world.at_mirror, names))
