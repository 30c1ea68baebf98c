"""The commands of the guides for kubeadm and GitOps, with real programs."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.cli.guides import COMMANDS, MIRRORED, argo_cd, furnish, typed
from tests.cluster.programs import KUBEADM, KUSTOMIZE, program
from tests.tools.golang import GoMissingError
from webhook.config import load_rules
from webhook.core import MirrorMap, parse_reference
from webhook.profiles import PROFILES

# Records what it is asked to pull, tag and remove. Every image exists.
ENGINE = '#!/bin/sh\necho "${0##*/} $*" >> calls\n'
LIST = "kubeadm config images list"
# Without a network, kubeadm uses its own version instead of looking up the newest.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9"}


@pytest.fixture
def folder(tmp_path):
    try:
        programs = {
            "kubeadm": program("kubeadm", KUBEADM),
            "kustomize": program("kustomize", KUSTOMIZE),
        }
    except GoMissingError as error:
        pytest.skip(str(error))
    return furnish(tmp_path, {**programs, "crictl": ENGINE, "ctr": ENGINE})


def of_the_guide(words):
    (command,) = [command for _, command in COMMANDS if words in command]
    return command


def listed(folder, *arguments):
    """Return the images that kubeadm would pull."""
    done = typed(" ".join((LIST, *arguments)), folder, **OFFLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_images_that_kubeadm_lists_are_pulled_from_the_mirror(folder):
    done = typed(of_the_guide(f"{LIST} | mirrorhook pull"), folder, **OFFLINE)
    assert done.returncode == 0, done.stderr
    calls = (folder / "calls").read_text().splitlines()
    pulled = [call.split()[-1] for call in calls if call.startswith("crictl pull")]
    tags = [call.split()[-1] for call in calls if " tag " in call]
    images = listed(folder)
    assert f"registry.k8s.io/kube-apiserver:{KUBEADM.kubernetes}" in images
    assert sorted(tags) == sorted(images)
    assert sorted(pulled) == sorted(
        image.replace("registry.k8s.io", "harbor.example.com/k8s") for image in images
    )


@pytest.mark.parametrize("profile", ["", "aliyun-google-containers", "daocloud", "nju"])
def test_kubeadm_uses_the_mirror_of_the_rules(folder, profile):
    (folder / "kubeadm.yaml").unlink()
    command = of_the_guide("render kubeadm --config")
    if profile:
        command = command.replace("--config rules.yaml", f"--profile {profile}")
    done = typed(command, folder)
    assert done.returncode == 0, done.stderr
    checked = typed("kubeadm config validate --config kubeadm.yaml", folder, **OFFLINE)
    assert checked.returncode == 0, checked.stderr
    mirrors = rules_of(folder, profile)
    wanted = [mirrors.decide(image).image for image in listed(folder)]
    assert listed(folder, "--config", "kubeadm.yaml") == wanted


def rules_of(folder, profile):
    """Return the rules of a profile, or of the rules file."""
    if profile:
        return MirrorMap(PROFILES[profile].rules)
    return load_rules(folder / "rules.yaml").policies["default"].mirrors


def test_output_of_kustomize_is_rewritten(folder):
    images = "images: [{name: nginx, newTag: '1.27'}]\n"
    with (folder / "overlay/kustomization.yaml").open("a") as file:
        file.write(f"namePrefix: our-\n{images}")
    (command,) = {c for page, c in COMMANDS if "kustomize build overlay" in c}
    done = typed(command, folder)
    assert done.returncode == 0, done.stderr
    built = yaml.safe_load((folder / "all.yaml").read_text())
    assert built["metadata"]["name"] == "our-web"
    assert built["spec"]["containers"][0]["image"] == MIRRORED


def test_argo_cd_plugin_rewrites_and_fails_if_a_command_fails(folder):
    generate = argo_cd()["spec"]["generate"]
    command = [*generate["command"], *generate["args"]]
    environment = {"MIRRORHOOK_CONFIG": str(folder / "rules.yaml")}

    def synced(where):
        words = subprocess.list2cmdline(command[:2]), command[2]
        return typed(f"cd {where} && {words[0]} '{words[1]}'", folder, **environment)

    done = synced("overlay")
    assert (done.returncode, MIRRORED in done.stdout) == (0, True), done.stderr
    nothing = synced("bin")
    assert nothing.returncode != 0
    assert "kustomization" in nothing.stderr
    pod = folder / "overlay/pod.yaml"
    pod.write_text(pod.read_text().replace("nginx:1.27", "Nginx"))
    wrong = synced("overlay")
    assert wrong.returncode != 0
    assert "must be in lower case" in wrong.stderr


def test_files_for_flux_are_rewritten_in_place(folder):
    command = of_the_guide("--in-place overlay")
    done = typed(command, folder)
    assert done.returncode == 0, done.stderr
    assert MIRRORED in (folder / "overlay/pod.yaml").read_text()
    built = typed("kustomize build overlay", folder)
    assert MIRRORED in built.stdout
    assert parse_reference(MIRRORED).registry == "harbor.example.com"
