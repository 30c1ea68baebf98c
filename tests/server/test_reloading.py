"""Changes on disk, taken up while reviews come in."""

from __future__ import annotations

import os

import pytest

from tests.server.process import RULES, serving, until
from tests.server.test_requests import patched

OTHER = RULES.replace("docker.io", "quay.io")
WRONG = "rules:\n  - {match: quay.io/team}\n  - {mtach: quay.io, mirrors: [a.example]}\n"


def test_changed_rules_are_loaded(rules, review_of):
    body = review_of("nginx", "quay.io/a/b")
    with serving(rules) as webhook:
        assert patched(webhook.review(body).json()) == ["/spec/containers/0/image"]
        rules.write_text(OTHER)
        webhook.wait_for("rules reloaded")
        assert patched(webhook.review(body).json()) == ["/spec/containers/1/image"]
        assert webhook.metric('mirrorhook_config_reloads_total{result="success"}') == 2


def test_swapped_configmap_volume_is_loaded(tmp_path, review_of):
    for name, text in (("..one", RULES), ("..two", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "rules.yaml").symlink_to("..data/rules.yaml")
    with serving(tmp_path / "rules.yaml") as webhook:
        (tmp_path / "..new").symlink_to("..two")
        os.replace(tmp_path / "..new", tmp_path / "..data")  # noqa: PTH105 - as the kubelet
        webhook.wait_for("rules reloaded")
        answer = webhook.review(review_of("nginx", "quay.io/a/b")).json()
    assert patched(answer) == ["/spec/containers/1/image"]


def test_invalid_rules_are_reported_and_the_old_ones_stay(rules, review_of):
    with serving(rules) as webhook:
        rules.write_text(WRONG)
        line = webhook.wait_for("rules refused, the old ones stay in use")
        assert len(line["problems"]) >= 2
        assert patched(webhook.review(review_of("nginx")).json())
        assert webhook.metric("mirrorhook_config_last_reload_successful") == 0
        assert webhook.ask("/readyz").status_code == 200
        rules.write_text(OTHER)
        webhook.wait_for("rules reloaded")
        until(lambda: webhook.metric("mirrorhook_config_last_reload_successful") == 1)


@pytest.mark.parametrize("first", [WRONG, None], ids=["invalid", "missing"])
def test_start_with_an_invalid_file_waits_for_a_valid_one(tmp_path, review_of, first):
    rules = tmp_path / "rules.yaml"
    if first is not None:
        rules.write_text(first)
    with serving(rules, "--wait-for-rules") as webhook:
        assert " waits for valid rules: " in webhook.said[0]
        assert webhook.ask("/healthz").status_code == 200
        assert webhook.ask("/readyz").status_code == 503
        assert webhook.review(review_of("nginx")).status_code == 503
        if first is not None:
            webhook.wait_for("rules refused, waiting for valid ones")
            (reason,) = webhook.ask("/readyz").text.splitlines()
            assert reason.startswith(f"rules: {rules}:2:5: the rules file has ")
            assert reason.endswith(" problems; to see what to fix, read the log of this Pod")
            # Everybody who reaches the port can read it.
            for path in ("/readyz", "/replica"):
                shown = webhook.ask(path).text
                assert not [word for word in ("quay.io", "mtach", "a.example") if word in shown]
            assert webhook.metric("mirrorhook_config_last_reload_successful") == 0
        rules.write_text(RULES)
        webhook.wait_for("rules loaded")
        assert webhook.ask("/readyz").status_code == 200
        assert patched(webhook.review(review_of("nginx")).json())
        assert len(webhook.logged("rules refused, waiting for valid ones")) <= 1
