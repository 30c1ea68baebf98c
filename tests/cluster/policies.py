"""Policies of the API server that are active during a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import namespaced
from tests.cluster.deciding import cases, decided, shown
from tests.cluster.processes import until
from tests.cluster.release import CHART
from tests.cluster.world import World
from tests.tools.helm import helm4
from webhook.core import Rule
from webhook.render import RenderResult

__all__ = ["PROBE", "applied", "charted", "differences", "install", "values_of"]

# Whether its image is rewritten shows whether the policy of a test is active.
PROBE = Rule("probe.example", ["probed.example"])
IMAGE = "probe.example/x"
SECONDS = 20


@contextmanager
def applied(world: World, space: str, rendered: RenderResult, image: str = IMAGE) -> Iterator[None]:
    """Apply a rendered policy until the end of the block.

    Args:
        world: The cluster.
        space: A namespace that the policy is for.
        rendered: The rendered policy, with a rule for the probe.
        image: The image of the probe.
    """
    (file,) = rendered.files
    items = list(yaml.safe_load_all(file.text))
    given = {"apiVersion": "v1", "kind": "List", "items": items}
    world.plane.kubectl("apply", "-f", "-", given=given)
    try:
        wait_until_probed(world, space, image, there=True)
        yield
    finally:
        world.plane.kubectl("delete", "-f", "-", given=given)
        wait_until_probed(world, space, image, there=False)


@contextmanager
def charted(
    world: World, space: str, values: dict[str, Any], name: str = "policy"
) -> Iterator[None]:
    """Install the chart with `rewriter: policy` until the end of the block.

    Args:
        world: The cluster.
        space: A namespace that the policy selects.
        values: Values of the chart, with a rule for the probe.
        name: Name of the release, and of its namespace.
    """
    install(world, values, name)
    try:
        wait_until_probed(world, space, IMAGE, there=True)
        yield
    finally:
        world.plane.run(helm4(), "uninstall", name, "--namespace", name)
        wait_until_probed(world, space, IMAGE, there=False)


def install(world: World, values: dict[str, Any], name: str, helm: Path | None = None) -> None:
    """Install or upgrade the chart with `rewriter: policy`."""
    file = world.plane.folder / f"{name}-values.json"
    file.write_text(json.dumps({"rewriter": "policy", **values}))
    world.plane.run(
        *(helm or helm4(), "upgrade", "--install", name, CHART, "--namespace", name),
        *("--create-namespace", "--values", file),
    )


def differences(
    world: World, space: str, rules: list[Rule]
) -> tuple[int, dict[str, tuple[Any, Any]]]:
    """Return the number of compared Pods, and those that policy and webhook decide differently.

    Args:
        world: The cluster.
        space: A namespace that the policy is for.
        rules: The rules of the policy and of the webhook.
    """
    compared, wrong = 0, {}
    for given in cases():
        query = {"dryRun": "All", "fieldValidation": "Ignore"}
        answer = world.api.ask("POST", namespaced("pods", space), given, **query)
        if not answer.is_success:  # the API server refuses the Pod in any case
            continue
        compared += 1
        got, wanted = shown(answer.json()), decided(given, rules)
        if got != wanted:
            wrong[given["metadata"].get("name")] = (got, wanted)
    return compared, wrong


def wait_until_probed(world: World, space: str, image: str, *, there: bool) -> None:
    """Wait until the API server applies a policy, or no longer applies it."""
    until(lambda: (world.tried(space, image) != image) is there, "a policy", SECONDS)


def values_of(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return rules in the format of the values of the chart."""
    found = []
    for rule in rules:
        mirrors = [{"target": m.target, "flatten": m.flatten} for m in rule.mirrors]
        done = {"keep": True} if rule.keep else {"mirrors": mirrors}
        found.append({"match": str(rule.match), **done})
    return found
