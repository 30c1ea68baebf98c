"""Policies of a rendered release: when the API server calls the webhook, and when it patches."""

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
class PodRequest:
    """A request for a Pod."""

    object: dict[str, Any]
    old: dict[str, Any] | None = None
    subresource: str = ""

    @property
    def variables(self):
        """The variables of the conditions."""
        operation = "CREATE" if self.old is None else "UPDATE"
        request = {"operation": operation, "subResource": self.subresource}
        return {"object": self.object, "oldObject": self.old, "request": request}

    @property
    def review(self):
        """The body of the review."""
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
class ReleasedPolicy:
    """One policy of a release, with its conditions and its rules."""

    conditions: dict[str, Any]
    expressions: dict[str, str] = field(repr=False)
    policy: Policy

    def calls(self, request):
        """Return whether the API server calls the webhook; no condition may fail."""
        results = {}
        for name, condition in self.conditions.items():
            result = condition.eval(data=request.variables)
            assert result.type() == cel.Type.BOOL, (name, result.value(), request)
            results[name] = result.value()
        return all(results.values())

    def patches(self, request):
        """Return whether the webhook patches the Pod."""
        return result_of(request.review, self.policy).outcome is ReviewOutcome.PATCHED

    def calls_for(self, *images):
        """Return whether the API server calls the webhook for a new Pod with *images*."""
        return self.calls(PodRequest(pod(*images)))


def pod(*images, **spec):
    """Return a Pod with a container for each image."""
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **spec}}


def release_policies(policies, **values):
    """Render a release, and return its policies by name."""
    selection = {"selection": {"mode": "all"}}
    given = {name: {**selection, **policy} for name, policy in policies.items()}
    webhook = {"matchConditionsFromRules": True}
    rendered = render({"policies": given, "webhook": webhook, **values})
    return {name: read_policy(rendered, name) for name in policies}


def read_policy(rendered: Rendered, name: str) -> ReleasedPolicy:
    """Return a policy of a rendered release."""
    webhook = rendered.webhooks[f"{name}.mirrorhook.io"]
    expressions = {each["name"]: each["expression"] for each in webhook["matchConditions"]}
    rules = rendered.one("ConfigMap")["data"]["rules.yaml"]
    decide = settings(rules).policies[name].mirrors.decide
    compiled = {key: compile_expression(each) for key, each in expressions.items()}
    return ReleasedPolicy(compiled, expressions, Policy(name, decide))


@cache
def settings(text):
    return parse_rules(text, "rules.yaml")


@cache
def compile_expression(text):
    return ENVIRONMENT.compile(text)
