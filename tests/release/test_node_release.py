"""A release on a node: with nothing but its files, and from the registry it is pushed to."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.cluster.deployment import NAME, replicas
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.programs import CONTAINERD, program
from tests.copying.programs import find_program
from tests.image.building import ARCHITECTURES, ROOT
from tests.release.building import SUMS, run_regctl
from tests.release.provenance import PREDICATE
from tests.release.publishing import CYCLONEDX, IN_TOTO, publish_release
from tests.release.signing import Signer, run_cosign
from tests.tools.helm import helm3, helm4
from tests.tools.shell import run_command
from webhook import __version__
from webhook.cli.init import CHART

README = (ROOT / "README.md").read_text()
INSTALL = README.partition("## Install it\n")[2].partition("\n## ")[0]
(REGISTRY_COMMAND,), FILES, MANIFEST, LABEL = [
    block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", INSTALL, re.DOTALL)
]
(RULES,) = re.findall(r"```yaml\n(# rules.yaml.*?)```", README, re.DOTALL)
VERIFY = ("--insecure-ignore-tlog=true",)
REGCTL = f"--host=reg={REGISTRY},tls=disabled"


@pytest.fixture
def place(built, tmp_path):
    """The files of the release, and the rules of the README, in a folder."""
    for path in built.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


@pytest.fixture
def type_command(node, place, tmp_path_factory):
    """Runs a command of the README in that folder, with the programs of a cluster."""
    programs = tmp_path_factory.mktemp("bin")
    for name, path in {
        "helm": helm4(),
        "kubectl": program("kubectl"),
        "ctr": program("ctr", CONTAINERD),
    }.items():
        (programs / name).symlink_to(path)

    environment = node.plane.environment

    def run(command):
        return run_command(
            command,
            folder=place,
            environment=environment | {"PATH": f"{programs}:{environment['PATH']}"},
            inside=node.plane.processes.inside,
        )

    return run


def try_out(node, type_command, mirror="harbor.example.com/dockerhub"):
    """Run the last commands of the README, and clean up after them."""
    label, attempt = LABEL
    type_command(label)
    wanted = f"{mirror}/library/nginx:1.27"
    until(lambda: type_command(attempt) == wanted, wanted)
    assert len(replicas(node)) == 2
    type_command("kubectl label namespace default mirrorhook.io/rewrite-")


def test_files_of_the_release_and_helm_are_enough_to_install(node, type_command):
    for command in FILES:
        type_command(command)
    try_out(node, type_command)
    type_command(f"helm uninstall {NAME} --namespace {NAME} --wait")
    type_command(f"kubectl delete namespace {NAME}")


def test_files_of_the_release_and_kubectl_are_enough_to_install(node, type_command):
    for command in (*FILES[:-1], *MANIFEST):
        type_command(command)
    try_out(node, type_command)
    type_command("kubectl delete mutatingwebhookconfiguration mirrorhook.mirrorhook")
    type_command("kubectl delete --ignore-not-found --filename install.yaml")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with a new pair of keys."""
    folder = tmp_path_factory.mktemp("keys")
    run_cosign("generate-key-pair", f"--output-key-prefix={folder}/cosign")
    return folder


@pytest.fixture(scope="module")
def published(built, node, keys):
    """The release in the registry of the node, signed."""
    signer = Signer(keys, str(keys / "cosign.key"))
    publish_release(built, signer, lambda _: None)
    return built


def list_referrers(subject, kind):
    """Return the digests of the referrers of a kind."""
    form = "{{jsonPretty .}}"
    shown = run_regctl(REGCTL, "artifact", "list", f"--format={form}", subject)
    found = json.loads(shown)["descriptors"]
    return [each["digest"] for each in found if each.get("artifactType") == kind]


@pytest.mark.parametrize("helm", [helm3, helm4])
def test_chart_of_the_registry_installs_the_image_of_the_registry(
    published, node, type_command, helm
):
    # Not the one that was imported before.
    type_command(f"ctr --namespace k8s.io images remove {published.release.image}:{__version__}")
    words = REGISTRY_COMMAND.replace("oci://ghcr.io/mirrorhook/", "oci://{}/mirrorhook/")
    command = words.format(REGISTRY).replace("helm ", f"{helm()} ", 1)
    type_command(f"{command} --version {__version__} --plain-http --wait --timeout 300s")
    try_out(node, type_command)
    for each in replicas(node):
        (status,) = each["status"]["containerStatuses"]
        assert status["imageID"].startswith(f"{published.release.image}@")
    assert f"mirrorhook/mirrorhook:{__version__}" in node.pulled()
    type_command(f"helm uninstall {NAME} --namespace {NAME} --wait")
    type_command(f"kubectl delete namespace {NAME}")


def test_values_of_init_install_the_image_of_the_mirror(published, node, place, type_command):
    copy_archive(published, f"{REGISTRY}/ghcr/mirrorhook/mirrorhook:{__version__}")
    options = ("--registry", REGISTRY, "--product", "harbor", "--directory", str(place), "--force")
    command = (sys.executable, "-m", "webhook", "init", *options)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (install,) = re.findall(r"^ +(helm install .+)$", done.stdout, re.MULTILINE)
    chart = published.file(".tgz").name
    type_command(f"{install.replace(CHART, chart)} --wait --timeout 300s")
    try_out(node, type_command, f"{REGISTRY}/dockerhub")
    assert f"ghcr/mirrorhook/mirrorhook:{__version__}" in node.pulled()
    type_command(f"helm uninstall {NAME} --namespace {NAME} --wait")
    type_command(f"kubectl delete namespace {NAME}")


def test_signatures_of_image_and_chart_are_valid(published, keys):
    options = (*VERIFY, f"--key={keys}/cosign.pub")
    names = [f"{published.release.image}:{__version__}", f"{published.release.chart}:{__version__}"]
    names += [f"{published.release.image}@{published.digests[each]}" for each in ARCHITECTURES]
    for name in names:
        run_cosign("verify", *options, name)


def test_other_images_and_other_keys_are_refused(published, node, keys, tmp_path):
    node.push("mirrorhook/mirrorhook:other")
    with pytest.raises(RuntimeError, match="no signatures found"):
        run_cosign(
            "verify", *VERIFY, f"--key={keys}/cosign.pub", f"{published.release.image}:other"
        )
    run_cosign("generate-key-pair", f"--output-key-prefix={tmp_path}/other")
    with pytest.raises(RuntimeError, match=r"(verif|match)"):
        run_cosign(
            "verify",
            *VERIFY,
            f"--key={tmp_path}/other.pub",
            f"{published.release.image}:{__version__}",
        )


def test_signed_checksums_are_valid(published, keys, tmp_path):
    sums = tmp_path / SUMS
    sums.write_bytes((published.folder / SUMS).read_bytes())
    bundle = Signer(keys, str(keys / "cosign.key")).sign_file(sums)
    options = (*VERIFY, f"--key={keys}/cosign.pub", f"--bundle={bundle}")
    run_cosign("verify-blob", *options, sums)
    sums.write_bytes(sums.read_bytes() + b"\n")
    with pytest.raises(RuntimeError):
        run_cosign("verify-blob", *options, sums)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_registry_has_the_bill_of_materials_of_each_image(published, keys, architecture):
    subject = f"{published.release.image}@{published.digests[architecture]}"
    (digest,) = list_referrers(subject, CYCLONEDX)
    shown = run_regctl(REGCTL, "artifact", "get", f"{published.release.image}@{digest}")
    wanted = json.loads(published.file(f"-image-{architecture}.cdx.json").read_text())
    assert json.loads(shown) == wanted
    options = (*VERIFY, f"--key={keys}/cosign.pub", "--type=cyclonedx")
    run_cosign("verify-attestation", *options, subject)


def test_registry_has_the_provenance(published, keys):
    subject = f"{published.release.image}@{published.digests['index']}"
    (digest,) = list_referrers(subject, IN_TOTO)
    shown = run_regctl(REGCTL, "artifact", "get", f"{published.release.image}@{digest}")
    assert json.loads(shown) == json.loads(published.file(".intoto.json").read_text())
    options = (*VERIFY, f"--key={keys}/cosign.pub", f"--type={PREDICATE}")
    for name in (subject, f"{published.release.chart}:{__version__}"):
        run_cosign("verify-attestation", *options, name)


def test_repository_of_the_chart_has_the_metadata_of_artifact_hub(published):
    shown = run_regctl(REGCTL, "artifact", "get", f"{published.release.chart}:artifacthub.io")
    assert shown.strip() == (ROOT / "charts/artifacthub-repo.yml").read_text().strip()


def copy_archive(published, target):
    """Copy the image from the archive to a registry, as the page on releases says."""
    archive = f"oci-archive:{published.file('-image.tar')}"
    copy = (find_program("skopeo"), "copy", "--all", "--dest-tls-verify=false", archive)
    subprocess.run([*copy, f"docker://{target}"], check=True, capture_output=True)


def test_archive_of_the_image_is_that_of_the_registry(published):
    target = f"{REGISTRY}/copy/mirrorhook:{__version__}"
    copy_archive(published, target)
    assert run_regctl(REGCTL, "image", "digest", target) == published.digests["index"]
