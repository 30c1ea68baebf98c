"""The page on metrics lists what the webhook serves."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from tests.generate import metrics
from tests.server.process import serving
from webhook.admission.response import ReviewOutcome
from webhook.core import Outcome
from webhook.registry.responses import CheckStatus
from webhook.telemetry import Metrics

PAGE = metrics.PAGE.read_text(encoding="utf-8")
RULES = metrics.PAGE.with_name("rules.md").read_text(encoding="utf-8")
FAMILY = re.compile(r"^# HELP (mirrorhook_\w+) (.*)\n# TYPE \w+ (\w+)$", re.MULTILINE)
ROW = re.compile(r"^\| `(mirrorhook_\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", re.MULTILINE)


class Unlabelled:
    """A collector of its own, of which only the metrics can be known."""

    def __init__(self, collector):
        self.collect = collector.collect


def test_page_lists_every_metric_that_is_served():
    body, _ = Metrics("1", lambda: 0.0).render("")
    served = {(name, text) for name, text, _ in FAMILY.findall(body.decode())}
    listed = {(name, text) for name, _, _, text in ROW.findall(PAGE)}
    assert len(served) >= 17
    assert listed == served


def test_page_lists_every_metric_of_a_running_webhook(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: []\n")
    with serving(rules) as webhook:
        body = webhook.ask("/metrics").text
    served = {name for name, _, _ in FAMILY.findall(body)}
    assert served == {name for name, _, _, _ in ROW.findall(PAGE)}


def test_page_lists_the_labels_of_each_metric():
    registry = Metrics("1", lambda: 0.0)
    registry.count_review("p", "patched", [(("r", "kept"), 1)])
    registry.observe_check("m", "present", 0.1)
    registry.count_refusal(400)
    registry.count_closed_connection("full")
    registry.set_resources("MirrorRules", 1, accepted=True)
    body = registry.render("")[0].decode()
    for name, kind, labels, _ in ROW.findall(PAGE):
        suffix = "_count" if kind in {"histogram", "summary"} else ""
        sample = re.search(rf"^{name}{suffix}(?:{{(.*)}})? ", body, re.MULTILINE)
        assert sorted(re.findall(r"\w+", labels)) == re.findall(r"(\w+)=", sample[1] or "")


def test_generator_refuses_a_metric_whose_labels_are_unknown(monkeypatch):
    class WithOwnCollector(Metrics):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            (counter,) = (
                each
                for each, names in self._registry._collector_to_names.items()
                if "mirrorhook_reviews_total" in names
            )
            self._registry.unregister(counter)
            self._registry.register(Unlabelled(counter))

    monkeypatch.setattr(metrics, "Metrics", WithOwnCollector)
    with pytest.raises(metrics.UnlistedMetricError, match="mirrorhook_reviews_total"):
        metrics.generate()


@pytest.mark.parametrize("values", [Outcome, ReviewOutcome])
def test_page_lists_every_value_of_a_label(values: type[StrEnum]):
    for value in values:
        assert f"`{value}`" in PAGE


def test_rules_page_lists_every_answer_of_a_mirror():
    for status in CheckStatus:
        assert f"`{status}`" in RULES


def test_alert_and_dashboard_count_every_failure_of_a_registry():
    chart = metrics.PAGE.parents[1] / "charts/mirrorhook"
    failures = {each for each in CheckStatus if each.is_failure}
    failures |= {CheckStatus.DOWN, CheckStatus.UNAUTHORIZED}
    for path in ("files/dashboard.json", "templates/prometheusrule.yaml"):
        text = (chart / path).read_text(encoding="utf-8")
        found = re.findall(r"[a-z|-]*\bunauthorized\b[a-z|-]*", text)
        assert [set(each.split("|")) for each in found if "|" in each] == [failures], path
