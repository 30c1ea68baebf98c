"""The two who decide on a Pod: the API server by its conditions, and the webhook."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from tests.chart.rendering import Rendered, render
from tests.reviews import result_of
from webhook.admission import Policy, ReviewOutcome
from webhook.config import parse_rules

FROM_RULES = "mirrorhook.io/has-images-of-the-rules"

# The variables and libraries that an API server has since Kubernetes 1.30.
ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN),
    extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()],
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a Pod."""

    object: dict[str, Any]
    old: dict[str, Any] | None = None
    subresource: str = ""

    @property
    def variables(self):
        """What the conditions see."""
        operation = "CREATE" if self.old is None else "UPDATE"
        request = {"operation": operation, "subResource": self.subresource}
        return {"object": self.object, "oldObject": self.old, "request": request}

    @property
    def review(self):
        """What the webhook gets."""
        request = {
            "uid": "u-1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            **self.variables["request"],
            "object": self.object,
            "oldObject": self.old,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return json.dumps({**review, "request": request}).encode()


@dataclass(frozen=True, slots=True)
class Registered:
    """One policy of a release: its conditions, and its rules as the webhook reads them."""

    conditions: dict[str, Any]
    expressions: dict[str, str] = field(repr=False)
    policy: Policy

    def calls(self, asked):
        """Say whether the API server calls the webhook; no condition may fail."""
        results = {}
        for name, condition in self.conditions.items():
            result = condition.eval(data=asked.variables)
            assert result.type() == cel.Type.BOOL, (name, result.value(), asked)
            results[name] = result.value()
        return all(results.values())

    def patches(self, asked):
        """Say whether the webhook patches."""
        return result_of(asked.review, self.policy).outcome is ReviewOutcome.PATCHED

    def calls_for(self, *images):
        """Say whether the API server calls the webhook for a new Pod with *images*."""
        return self.calls(Asked(pod(*images)))


def pod(*images, **spec):
    """A Pod with a container for each image."""
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **spec}}


def registered(policies, **values):
    """Release policies by their names, each with its ``rules`` and ``profiles``."""
    selection = {"selection": {"mode": "all"}}
    given = {name: {**selection, **policy} for name, policy in policies.items()}
    rendered = render({"policies": given, **values})
    return {name: of_policy(rendered, name) for name in policies}


def of_policy(rendered: Rendered, name: str) -> Registered:
    """Return what a rendered release registers for a policy."""
    webhook = rendered.webhooks[f"{name}.mirrorhook.io"]
    expressions = {each["name"]: each["expression"] for each in webhook["matchConditions"]}
    rules = rendered.one("ConfigMap")["data"]["rules.yaml"]
    decide = settings(rules).policies[name].mirrors.decide
    compiled = {key: compile_expression(each) for key, each in expressions.items()}
    return Registered(compiled, expressions, Policy(name, decide))


@cache
def settings(text):
    return parse_rules(text, "rules.yaml")


@cache
def compile_expression(text):
    return ENVIRONMENT.compile(text)
