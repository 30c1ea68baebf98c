"""The installation guide matches the chart."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.chart.rendering import CHART, DEFAULTS, render

ROOT = CHART.parents[1]
GUIDE = (ROOT / "docs/install.md").read_text()
EXAMPLES = [
    # Those of a parent chart are under the name of the chart.
    values | values.pop("mirrorhook", {})
    for block in re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    if (values := yaml.safe_load(block)).keys() & DEFAULTS.keys()
]


@pytest.mark.parametrize("values", EXAMPLES, ids="-".join)
def test_example_of_the_guide_is_accepted(values):
    assert len(EXAMPLES) >= 8
    assert render(values).objects


def test_values_that_the_guide_mentions_exist():
    tops = "|".join(DEFAULTS)
    named = set(re.findall(rf"`((?:{tops})(?:\.\w+)+)(?:: [^`]*)?`", GUIDE))
    assert len(named) >= 15
    for path in named:
        found = DEFAULTS
        for key in path.split("."):
            assert key in found, path
            found = found[key]


def test_guide_explains_every_operator_and_alert():
    for operator in DEFAULTS["operators"]:
        assert f"`operators.{operator}`" in GUIDE
    rule = render(file=CHART / "ci/monitoring-values.yaml").one("PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        if "alert" in alert:
            assert f"`{alert['alert']}`" in GUIDE


def test_links_of_the_guide_have_targets():
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(#([^)]+)\)", GUIDE):
        assert target in anchors
    for target in re.findall(r"\]\((?!#|https://)([^)#]+)", GUIDE):
        assert (ROOT / "docs" / target).exists(), target
