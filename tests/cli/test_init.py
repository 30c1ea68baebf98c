from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from tests.chart.rendering import HELM_VERSIONS, render
from tests.tools.terminal import terminal
from webhook.cli.init import init
from webhook.cli.products import DEFAULT_UPSTREAMS, PRODUCTS
from webhook.config import load_rules

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def run(folder, *arguments):
    return CliRunner().invoke(init, [f"--directory={folder}", *arguments])


def decide(folder, image):
    return load_rules(folder / "rules.yaml").policies["default"].mirrors.decide(image).image


@pytest.mark.parametrize(
    ("registry", "image"),
    [
        ("harbor.example.com", "harbor.example.com/dockerhub/library/nginx:1"),
        ("https://harbor.example.com:8443/", "harbor.example.com:8443/dockerhub/library/nginx:1"),
        ("example.jfrog.io", "example.jfrog.io/dockerhub-remote/library/nginx:1"),
        ("nexus.example.com:5000", "nexus.example.com:5000/dockerhub-proxy/library/nginx:1"),
        (ECR, f"{ECR}/docker-hub/library/nginx:1"),
        (
            "europe-docker.pkg.dev/project",
            "europe-docker.pkg.dev/project/dockerhub/library/nginx:1",
        ),
        ("example.azurecr.io", "example.azurecr.io/dockerhub/library/nginx:1"),
        ("example.azurecr.io/team", "example.azurecr.io/team/dockerhub/library/nginx:1"),
        (
            "registry.cn-hangzhou.aliyuncs.com",
            "registry.cn-hangzhou.aliyuncs.com/dockerhub/nginx:1",
        ),
        (
            "shop-registry.cn-beijing.cr.aliyuncs.com/mirrors",
            "shop-registry.cn-beijing.cr.aliyuncs.com/mirrors/nginx:1",
        ),
        ("quay.example.com", "quay.example.com/dockerhub/library/nginx:1"),
        ("r.example.com/cache", "r.example.com/cache/docker.io/library/nginx:1"),
    ],
)
def test_init_names_mirrors_as_the_product_of_the_host_does(tmp_path, registry, image):
    result = run(tmp_path, "--registry", registry)
    assert result.exit_code == 0, result.output
    assert decide(tmp_path, "nginx:1") == image


@pytest.mark.parametrize("product", PRODUCTS)
def test_init_writes_rules_and_values_that_are_valid_for_every_product(tmp_path, product):
    registry = "r.example.com/project"
    result = run(tmp_path, "--registry", registry, "--product", product)
    assert (result.exit_code, result.stderr) == (0, "")
    rules = yaml.safe_load((tmp_path / "rules.yaml").read_text())["rules"]
    assert {rule["match"] for rule in rules} <= set(DEFAULT_UPSTREAMS)
    assert yaml.safe_load((tmp_path / "values.yaml").read_text())["rules"] == rules
    for rule in rules:
        assert decide(tmp_path, f"{rule['match']}/a/b").startswith(f"{registry}/")
    (first, *_) = (tmp_path / "rules.yaml").read_text().splitlines()
    assert first.startswith("# yaml-language-server: $schema=https://")


@pytest.mark.parametrize(
    ("registry", "image"),
    [
        ("harbor.example.com", "harbor.example.com/ghcr/mirrorhook/mirrorhook:"),
        ("registry.aliyuncs.com/shop", "registry.aliyuncs.com/shop/mirrorhook:"),
    ],
)
@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_values_of_init_install_mirrorhook_from_the_mirror_of_its_image(
    tmp_path, helm, registry, image
):
    run(tmp_path, "--registry", registry)
    rendered = render(yaml.safe_load((tmp_path / "values.yaml").read_text()), helm=helm)
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith(image)
    written = rendered.one("ConfigMap")["data"]["rules.yaml"]
    assert registry in written


def test_init_mirrors_the_registries_that_are_named(tmp_path):
    wanted = ("--upstream", "docker.io=hub", "--upstream", "registry.gitlab.com")
    run(tmp_path, "--registry", "r.example.com", "--product", "harbor", *wanted)
    assert decide(tmp_path, "nginx") == "r.example.com/hub/library/nginx"
    assert decide(tmp_path, "registry.gitlab.com/a") == "r.example.com/gitlab/a"
    assert decide(tmp_path, "quay.io/a") == "quay.io/a"
    assert "# global:" in (tmp_path / "values.yaml").read_text()


def test_init_says_which_registries_a_product_does_not_cache(tmp_path):
    run(tmp_path, "--registry", ECR)
    assert decide(tmp_path, "gcr.io/a") == "gcr.io/a"
    run(tmp_path, "--force", "--registry", ECR, "--upstream", "gcr.io")
    assert decide(tmp_path, "gcr.io/a") == f"{ECR}/gcr/a"
    assert "does not fetch from gcr.io" in (tmp_path / "rules.yaml").read_text()


def test_init_says_from_where_to_which_path_a_registry_caches(tmp_path):
    run(tmp_path, "--registry", "example.azurecr.io/team", "--upstream", "quay.io")
    assert "from quay.io/* to team/quay/*." in (tmp_path / "rules.yaml").read_text()


def test_init_replaces_files_only_by_force(tmp_path):
    (tmp_path / "values.yaml").write_text("mine")
    refused = run(tmp_path, "--registry", "harbor.example.com")
    assert refused.exit_code == 2
    assert "values.yaml already exists" in refused.stderr
    assert "--force" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["values.yaml"]
    assert run(tmp_path, "--registry", "harbor.example.com", "--force").exit_code == 0
    assert (tmp_path / "values.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --registry HOST"),
        (("--registry", "europe-docker.pkg.dev"), "needs a path: the project"),
        (("--registry", "my registry"), "does not start with a registry host"),
        (("--registry", "harbor.example.com", "--upstream", "not a host"), "no valid rules"),
    ],
)
def test_init_writes_nothing_that_is_not_valid(tmp_path, arguments, message):
    result = run(tmp_path / "new", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count(message) == 1
    assert not (tmp_path / "new").exists()


def test_init_names_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    result = run(tmp_path / "file" / "new", "--registry", "harbor.example.com")
    assert result.exit_code == 2
    assert result.stderr.endswith("Not a directory; choose another --directory\n")


def test_init_asks_on_a_terminal(tmp_path):
    command = [sys.executable, "-m", "webhook", "init", f"--directory={tmp_path}"]
    with (
        terminal() as screen,
        subprocess.Popen(
            command, stdin=screen.end, stdout=subprocess.PIPE, stderr=screen.end
        ) as process,
    ):
        os.write(screen._ours, b"r.example.com\nnexus\ndocker.io quay.io\n")
        shown = screen.written()
        process.communicate()
    assert process.returncode == 0
    assert b"Your registry" in shown
    assert b"[other]" in shown
    assert decide(tmp_path, "nginx") == "r.example.com/dockerhub-proxy/library/nginx"
    assert decide(tmp_path, "quay.io/a") == "r.example.com/quay-proxy/a"
    assert decide(tmp_path, "gcr.io/a") == "gcr.io/a"
