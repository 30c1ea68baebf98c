"""Evaluation of a policy's variables by Google's CEL."""

from __future__ import annotations

import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from webhook.render import PolicyOptions, render_policy

ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(
        ("variables", "params", "object", "oldObject", "request"), cel.Type.DYN
    ),
    extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()],
)


def rendered(rules, **options):
    return render_policy(rules, PolicyOptions(**options))


def objects(result):
    (file,) = result.files
    return list(yaml.load_all(file.text, Loader=yaml.CSafeLoader))


class PolicyEvaluator:
    """Evaluates the variables of a policy."""

    def __init__(self, rules):
        policy, _ = objects(rendered(rules))
        given_ = {each["name"]: each["expression"] for each in policy["spec"]["variables"]}
        self.compiled = {name: ENVIRONMENT.compile(text) for name, text in given_.items()}
        known = {"table": self.value("table", {})}
        for name in ("depths", "domains"):
            known[name] = self.value(name, {"variables": known})
        self.known = known

    def value(self, name, data):
        result = self.compiled[name].eval(data=data)
        assert result.type() != cel.Type.ERROR, result.value()
        return result.plain_value()

    def images(self, slots):
        variables = {**self.known, "slots": list(slots)}
        return self.value("images", {"variables": variables})

    def slots(self, new, old=None, subresource=""):
        operation = "UPDATE" if old else "CREATE"
        request = {"operation": operation, "subResource": subresource}
        data = {"object": new, "oldObject": old, "request": request}
        return self.value("slots", data)
