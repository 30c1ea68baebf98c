"""The namespaces that a release selects."""

from __future__ import annotations

import pytest

from tests.cluster.release import released
from tests.cluster.world import ENABLED, MIRROR, RULES

NGINX = f"{MIRROR}/hub/library/nginx"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(ENABLED, NGINX), ({"mirrorhook.io/rewrite": "disabled"}, "nginx"), ({}, "nginx")],
)
def test_namespace_opts_in_by_label(world, release, labels, expected):
    assert world.tried(world.namespace(labels), "nginx") == expected


def test_namespace_can_opt_in_and_out_again(world, release):
    space = world.namespace()
    assert world.tried(space, "nginx") == "nginx"
    for value, expected in (("enabled", NGINX), (None, "nginx")):
        labels = {"mirrorhook.io/rewrite": value}
        world.api.patch(f"/api/v1/namespaces/{space}", {"metadata": {"labels": labels}})
        world.wait_for(space, "nginx", expected)


def test_system_and_release_namespaces_are_not_selected(world, release):
    assert world.tried("kube-system", "nginx") == "nginx"
    labels = {"metadata": {"labels": ENABLED}}
    world.api.patch(f"/api/v1/namespaces/{release.name}", labels)
    assert world.tried(release.name, "nginx") == "nginx"


def test_second_policy_has_its_own_namespaces_and_rules(plane, world):
    team, both = world.namespace(), world.namespace(ENABLED)
    policy = {
        "selection": {"namespaces": [team, both]},
        "rules": [{"match": "quay.io", "mirrors": ["team.example/quay"]}],
    }
    values = {"rules": RULES[:1], "policies": {"team": policy}}
    with released(plane, values, name="mirrorhook-policies"):
        world.wait_for(team, "quay.io/a", "team.example/quay/a")
        assert world.tried(team, "nginx") == "nginx"
        assert world.tried(both, "nginx") == NGINX
        assert world.tried(both, "quay.io/a") == "team.example/quay/a"


def test_mode_all_selects_all_but_system_namespaces(plane, world):
    space, excluded = world.namespace(), world.namespace()
    selection = {"mode": "all", "excludedNamespaces": [excluded]}
    with released(plane, {"rules": RULES, "selection": selection}, name="mirrorhook-everywhere"):
        assert world.tried(space, "nginx") == NGINX
        assert world.tried(excluded, "nginx") == "nginx"
        assert world.tried("kube-system", "nginx") == "nginx"


def test_pods_of_operators_are_skipped(world, release, space):
    assert world.tried(space, "nginx") == NGINX
    given = {"name": "db-1", "labels": {"cnpg.io/podRole": "instance"}}
    spec = {"containers": [{"name": "postgres", "image": "nginx"}]}
    created = world.create(space, {"metadata": given, "spec": spec})
    assert created["spec"]["containers"][0]["image"] == "nginx"


def test_two_releases_work_side_by_side(plane, world, release, space):
    other = world.namespace()
    values = {"rules": RULES[:1], "selection": {"mode": "listed", "namespaces": [other]}}
    values["rules"] = [{"match": "docker.io", "mirrors": ["other.example/hub"]}]
    with released(plane, values, name="mirrorhook-beside"):
        world.wait_for(other, "nginx", "other.example/hub/library/nginx")
        assert world.tried(space, "nginx") == NGINX
    assert world.tried(space, "nginx") == NGINX
