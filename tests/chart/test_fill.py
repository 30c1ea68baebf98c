"""The CronJob that fills the mirror: `fill`."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.chart.rendering import CHART, DEFAULTS, refusal, render
from tests.chart.selectors import selects
from tests.chart.test_monitoring import needs_promtool, promtool
from webhook.cli.copy import copy
from webhook.cli.images_in_use import COLLECTIONS

RULE = {"match": "docker.io", "mirrors": ["harbor.example.com/hub"]}
KINDS = {"CronJob", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy"}


GUIDE = (CHART.parents[1] / "docs/fill.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def fill(rewriter="webhook", *, more=None, **values):
    return render(
        {"rules": [RULE], "rewriter": rewriter, "fill": {"enabled": True, **values}} | (more or {})
    )


def ours(rendered):
    """The objects of `fill`, by kind."""
    return {
        item["kind"]: item
        for item in rendered.objects
        if item["metadata"]["labels"]["app.kubernetes.io/component"] == "fill"
    }


def job(rendered):
    return rendered.one("CronJob")["spec"]["jobTemplate"]["spec"]


def pod(rendered):
    return job(rendered)["template"]["spec"]


def containers(rendered):
    (plan,), (regsync,) = pod(rendered)["initContainers"], pod(rendered)["containers"]
    return plan, regsync


def test_nothing_is_filled_by_default():
    assert not ours(render())


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_of_the_guide_is_accepted(example):
    values = yaml.safe_load(example)
    assert fill(**values.pop("fill") | {"enabled": True}, more=values).one("CronJob")


def test_guide_names_values_and_metrics_that_exist():
    named = set(re.findall(r"`fill\.(\w+)", GUIDE))
    assert len(named) >= 8
    assert named <= DEFAULTS["fill"].keys()
    _, found = alert()
    for metric in re.findall(r"kube_\w+", found["expr"]):
        assert f"| `{metric}` |" in GUIDE
    assert f"`{found['alert']}`" in GUIDE


@pytest.mark.parametrize("rewriter", ["webhook", "policy"])
def test_fill_works_with_both_rewriters(rewriter):
    rendered = fill(rewriter)
    assert set(ours(rendered)) == KINDS
    (volume,) = (each for each in pod(rendered)["volumes"] if each["name"] == "rules")
    rules = rendered.one("ConfigMap")
    assert volume["configMap"]["name"] == rules["metadata"]["name"]
    assert yaml.safe_load(rules["data"]["rules.yaml"])["rules"] == [RULE]


def test_service_account_may_list_what_has_images_and_nothing_else():
    found = ours(fill())
    listed = set()
    for rule in found["ClusterRole"]["rules"]:
        assert rule["verbs"] == ["list"]
        listed |= {(group, name) for group in rule["apiGroups"] for name in rule["resources"]}
    needed = set()
    for kind, path in COLLECTIONS.items():
        group = path.split("/")[2] if path.startswith("/apis") else ""
        needed.add((group, f"{kind.lower()}s"))
    assert listed == needed
    (subject,) = found["ClusterRoleBinding"]["subjects"]
    account = found["ServiceAccount"]["metadata"]["name"]
    assert (subject["name"], pod(fill())["serviceAccountName"]) == (account, account)
    assert account != fill().one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]


def test_only_the_plan_has_the_token_and_only_regsync_the_logins():
    rendered = fill(credentialsSecret="registries")
    plan, regsync = (
        {mount["name"] for mount in each["volumeMounts"]} for each in containers(rendered)
    )
    assert pod(rendered)["automountServiceAccountToken"] is False
    assert plan - regsync == {"rules", "token"}
    assert regsync - plan == {"credentials"}
    (volume,) = (each for each in pod(rendered)["volumes"] if each["name"] == "credentials")
    assert volume["secret"] == {
        "secretName": "registries",
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    }
    environment = {each["name"]: each["value"] for each in containers(rendered)[1]["env"]}
    assert environment["DOCKER_CONFIG"] == "/etc/mirrorhook/docker"


def test_arguments_of_the_plan_are_those_of_the_command():
    plan, regsync = containers(render(file=CHART / "ci/fill-values.yaml"))
    known = {option for each in copy.params for option in each.opts}
    assert plan["args"][0] == "copy"
    assert {each.partition("=")[0] for each in plan["args"][1:]} <= known
    wanted = ("--cluster", "--plan=regsync", "--platform=linux/amd64", "--referrers")
    assert {*wanted, "--digest-tags", "--plain-http=registry.internal:5000"} <= {*plan["args"]}
    file = "/plan/regsync.yaml"
    assert f"--plan-file={file}" in plan["args"]
    assert regsync["args"] == ["once", "--config", file]


def test_pods_meet_the_restricted_standard_and_are_not_rewritten():
    for rendered in (fill(), render(file=CHART / "ci/fill-values.yaml")):
        spec = pod(rendered)
        assert spec["securityContext"] == DEFAULTS["podSecurityContext"]
        for each in containers(rendered):
            context = dict(each["securityContext"])
            assert context.pop("runAsUser", 1) != 0
            assert context == DEFAULTS["securityContext"]
            assert each["resources"]["limits"]
        allowed = {"configMap", "emptyDir", "secret", "projected", "name"}
        assert {key for volume in spec["volumes"] for key in volume} <= allowed
        labels = job(rendered)["template"]["metadata"]["labels"]
        assert labels["mirrorhook.io/rewrite"] == "disabled"


def test_regsync_has_a_numeric_user_that_openshift_can_choose():
    assert containers(fill())[1]["securityContext"]["runAsUser"] == 1000
    chosen = fill(securityContext={"runAsUser": None})
    assert "runAsUser" not in containers(chosen)[1]["securityContext"]


def test_selectors_of_the_webhook_do_not_select_these_pods():
    rendered = fill()
    labels = job(rendered)["template"]["metadata"]["labels"]
    policies = {each["metadata"]["name"]: each for each in rendered.of_kind("NetworkPolicy")}
    selectors = [
        policies["mirrorhook"]["spec"]["podSelector"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"],
        {"matchLabels": rendered.one("Service")["spec"]["selector"]},
    ]
    assert not any(selects(selector, labels) for selector in selectors)
    assert selects(policies["mirrorhook-fill"]["spec"]["podSelector"], labels)


def test_network_policy_lets_nobody_in_and_the_pods_out_to_registries():
    spec = ours(fill())["NetworkPolicy"]["spec"]
    assert (spec["ingress"], spec["egress"]) == ([], [{}])
    egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
    assert ours(fill(egress=egress))["NetworkPolicy"]["spec"]["egress"] == egress
    without = fill(more={"networkPolicy": {"enabled": False}})
    assert not without.of_kind("NetworkPolicy")
    webhook = [
        each for each in fill().of_kind("NetworkPolicy") if each not in ours(fill()).values()
    ]
    assert [{}] not in [each["spec"]["egress"] for each in webhook]


def test_runs_do_not_overlap_and_end():
    rendered = fill(schedule="5 4 * * *", timeZone="Europe/Berlin", suspend=True, backoffLimit=0)
    spec = rendered.one("CronJob")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == (
        "5 4 * * *",
        "Europe/Berlin",
        True,
    )
    assert spec["concurrencyPolicy"] == "Forbid"
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 1)
    assert job(rendered)["activeDeadlineSeconds"] > 0
    assert job(rendered)["backoffLimit"] == 0


def test_images_come_from_the_given_registry():
    rendered = render(file=CHART / "ci/fill-values.yaml")
    plan, regsync = (each["image"] for each in containers(rendered))
    assert plan == "harbor.example.com/ghcr/mirrorhook/mirrorhook:0.1.0"
    assert re.fullmatch(r"harbor\.example\.com/ghcr/regclient/regsync:v\d[\w.]*-alpine", regsync)
    assert pod(rendered)["imagePullSecrets"] == [{"name": "harbor"}]
    digest = f"sha256:{'a' * 64}"
    assert containers(fill(image={"digest": digest}))[1]["image"].endswith(f"-alpine@{digest}")


@pytest.mark.parametrize("release", ["m", "mirrorhook-with-a-name-of-fifty-two-characters-or-so1"])
def test_name_leaves_room_for_what_a_cron_job_adds(release):
    name = render({"fill": {"enabled": True}}, release=release).one("CronJob")["metadata"]["name"]
    assert name.endswith("-fill")
    assert len(name) <= 52


def test_policy_of_the_rules_must_exist():
    message = refusal({"fill": {"enabled": True, "policy": "team-a"}})
    assert "fill.policy is team-a, which is not in policies" in message
    policies = {"team-a": {"selection": {"namespaces": ["team-a"]}, "rules": [RULE]}}
    plan, _ = containers(fill(policy="team-a", more={"policies": policies}))
    assert "--policy=team-a" in plan["args"]


@pytest.mark.parametrize(
    "values", [{"platforms": ["amd64"]}, {"parallel": 0}, {"shedule": "@daily"}, {"command": []}]
)
def test_misspelt_values_are_refused(values):
    assert "fill" in refusal({"fill": {"enabled": True, **values}})


def alert():
    rendered = render(file=CHART / "ci/fill-values.yaml")
    rule = ours(rendered)["PrometheusRule"]
    ((found,),) = (group["rules"] for group in rule["spec"]["groups"])
    return rule, found


def test_alert_is_created_with_those_of_the_webhook():
    assert "PrometheusRule" not in ours(fill())
    rule, found = alert()
    assert found["alert"] == "MirrorhookFillFails"
    assert found["labels"] == {"severity": "warning", "team": "platform"}
    assert rule["metadata"]["name"] == "mirrorhook-fill"


SELECTED = '{namespace="mirrorhook", cronjob="mirrorhook-fill"}'
# What kube-state-metrics says of the last schedule and the last success in each minute of three
# hours, and whether the alert fires at their end.
CASES = {
    "last run succeeded": ("3600x180", "3700x180", False),
    "runs succeed again and again": ("0+60x180", "30+60x180", False),
    "never succeeded": ("3600x180", None, True),
    "last runs failed": ("0+60x180", "600x180", True),
    "not yet scheduled": (None, None, False),
    "failed for some minutes only": ("60x150 9000x30", "100x180", False),
}


@needs_promtool
@pytest.mark.parametrize("case", CASES)
def test_alert_fires_if_no_run_succeeds(tmp_path, case):
    _, found = alert()
    scheduled, succeeded, fires = CASES[case]
    series = {"created": "0x180", "status_last_schedule_time": scheduled}
    series["status_last_successful_time"] = succeeded
    labels = found["labels"]
    text = {
        key: value.replace("{{ $value | humanizeTimestamp }}", r"ANY")
        for key, value in found["annotations"].items()
    }
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": [found | {"annotations": text}]}]})
    )
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"kube_cronjob_{name}{SELECTED}", "values": values}
            for name, values in series.items()
            if values
        ],
        "alert_rule_test": [
            {
                "eval_time": "3h",
                "alertname": found["alert"],
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": text}] if fires else [],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    promtool("test", "rules", file)
