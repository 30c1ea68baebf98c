"""Random changes of everything, compared with the simplest model of what should be in use."""

from __future__ import annotations

from functools import lru_cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.resources.objects import make_object, make_rule
from webhook.config import parse_rules
from webhook.core import InvalidRuleError, LayeredMap, MirrorMap, PlatformLayer
from webhook.resources import Kind, build_effective

NAMESPACES = ("a", "b")
IMAGES = ("docker.io/x/y", "quay.io/x/y", "gcr.io/x/y", "m.io/q/x/y", "m.io/d/x/y", "n.io/x/y")
MATCHES = ("docker.io", "quay.io", "gcr.io", "m.io/q", "m.io/d/x", "*", "n.io")
TARGETS = ("m.io/q", "m.io/d", "n.io", "quay.io", "evil.io/x")
DELEGATIONS = (
    "",
    "delegation: {namespaces: {}, mirrors: [m.io/*, n.io, quay.io]}",
    "delegation: {namespaces: {matchLabels: {team: yes}}, mirrors: [m.io]}".replace("yes", '"yes"'),
)
FILES = tuple(
    f"rules: [{rules}]\nmode: {mode}\n{delegation}"
    for rules in (
        "",
        "{match: docker.io, mirrors: [m.io/d], enforced: true}",
        "{match: docker.io, mirrors: [m.io/d]}, {match: m.io/d, mirrors: [n.io], enforced: true}",
        "{match: quay.io, keep: true}, {regex: 'gcr.io/(.+)', mirrors: ['m.io/q/\\1']}",
    )
    for mode in ("rewrite", "observe")
    for delegation in DELEGATIONS
)
rules = st.builds(
    make_rule,
    st.sampled_from(MATCHES),
    st.sampled_from([None, *TARGETS]),
    enforced=st.sampled_from([False, False, False, True]),
)
specs = st.fixed_dictionaries(
    {"rules": st.lists(rules, max_size=2)},
    optional={
        "mode": st.sampled_from(["rewrite", "observe", "nonsense"]),
        "record": st.booleans(),
    },
)
parse = lru_cache(maxsize=None)(lambda text: parse_rules(text, "rules.yaml"))


class Model:
    """What should be in use: written without regard to speed, from the documentation."""

    def __init__(self):
        self.good = {}

    def settle(self, configuration, objects, labels):
        """Return what each object has in use, and the rules and mode of each namespace."""
        self.good = {uid: old for uid, old in self.good.items() if uid in objects}
        self.in_use = {}
        base = configuration.policies["default"]
        file = {each.name: each for each in base.mirrors.rules}
        members = [each for each in objects.values() if each.kind is Kind.PLATFORM]

        def combine(used):
            return MirrorMap({**file, **list_rules(used)}.values())

        used = self.choose(members, lambda _: True, combine)
        platform = combine(used)
        self.rules = {"": platform}
        self.modes = {"": pick(used, "mode", base.mode)}
        enforced = any(each.enforced for each in platform.rules)
        for namespace in NAMESPACES:
            members = [
                each
                for each in objects.values()
                if each.kind is Kind.TEAM and each.namespace == namespace
            ]

            def allows(each, namespace=namespace):
                delegation = configuration.delegation
                return (
                    delegation is not None
                    and not (
                        delegation.namespaces and labels.get(namespace, {}).get("team") != "yes"
                    )
                    and not any(one.enforced for one, _ in each.spec.rules)
                    and not (enforced and each.spec.settings.get("mode") == "observe")
                    and all(
                        any(
                            mirror.covers(str(allowed)) or is_under(mirror.target, str(allowed))
                            for allowed in delegation.mirrors
                        )
                        for one, _ in each.spec.rules
                        for mirror in one.mirrors
                    )
                )

            def layer(used):
                return LayeredMap(MirrorMap(list_rules(used).values()), PlatformLayer(platform))

            used = self.choose(members, allows, layer)
            self.rules[namespace] = layer(used)
            self.modes[namespace] = pick(used, "mode", self.modes[""])

    def choose(self, members, allows, combine):
        """Return the generations in use of objects, the oldest object first."""
        used = []
        for each in sorted(members, key=lambda one: (one.created, one.name)):
            self.in_use[each.uid] = None
            for generation in filter(None, (each, self.good.get(each.uid))):
                if generation.problems or not allows(generation):
                    continue
                if any(differ(generation, other) for other in used):
                    continue
                try:
                    combine([*used, generation])
                except InvalidRuleError:
                    continue
                used.append(generation)
                self.good[each.uid] = generation
                self.in_use[each.uid] = generation.generation
                break
        return used


def list_rules(used):
    return {each.name: each for one in used for each, _ in one.spec.rules}


def pick(used, key, default):
    found = [each.spec.settings[key] for each in used if key in each.spec.settings]
    return found[0] if found else default


def is_under(target, allowed):
    return f"{target}/".startswith(f"{allowed}/")


def differ(one, other):
    same = {each.name for each, _ in one.spec.rules} & {each.name for each, _ in other.spec.rules}
    ours, theirs = one.spec.settings, other.spec.settings
    return bool(same) or any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys())


class Objects(RuleBasedStateMachine):
    """Creates, changes and deletes objects, labels namespaces, and changes the rules file."""

    created = Bundle("created")

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.objects = {}
        self.labels = {}
        self.file = FILES[0]
        self.number = 0
        self.effective = None

    @rule(file=st.sampled_from(FILES))
    def change_file(self, file):
        self.file = file

    @rule(namespace=st.sampled_from(NAMESPACES), label=st.sampled_from(["yes", "no", None]))
    def label_namespace(self, namespace, label):
        self.labels.pop(namespace, None)
        if label:
            self.labels[namespace] = {"team": label}

    @rule(
        target=created,
        kind=st.sampled_from(Kind),
        namespace=st.sampled_from(NAMESPACES),
        name=st.sampled_from("xyz"),
        spec=specs,
        second=st.integers(0, 2),
    )
    def create(self, kind, namespace, name, spec, second):
        self.number += 1
        uid = f"uid-{self.number}"
        self.objects[uid] = make_object(
            kind, f"{name}{self.number}", spec, namespace, created=second, uid=uid
        )
        return uid

    @rule(uid=created, spec=specs)
    def change(self, uid, spec):
        old = self.objects[uid]
        self.objects[uid] = make_object(
            old.kind,
            old.name,
            spec,
            old.namespace,
            generation=old.generation + 1,
            created=int(old.created[-3:-1]),
            uid=uid,
        )

    @rule(uid=consumes(created))
    def delete(self, uid):
        del self.objects[uid]

    @invariant()
    def effective_rules_are_those_of_the_model(self):
        configuration = parse(self.file)
        by_kind = {kind: [e for e in self.objects.values() if e.kind is kind] for kind in Kind}
        before = self.effective
        self.effective = build_effective(
            configuration, by_kind[Kind.PLATFORM], by_kind[Kind.TEAM], dict(self.labels), before
        )
        self.model.settle(configuration, self.objects, self.labels)
        found = {uid: verdict.in_use for uid, verdict in self.effective.verdicts.items()}
        assert found == self.model.in_use
        for namespace in ("", *NAMESPACES):
            policy = self.effective.find("default", namespace)
            assert policy.mode == self.model.modes[namespace]
            for image in IMAGES:
                assert policy.mirrors.decide(image) == self.model.rules[namespace].decide(image)
        again = build_effective(
            configuration,
            reversed(by_kind[Kind.PLATFORM]),
            reversed(by_kind[Kind.TEAM]),
            dict(self.labels),
            self.effective,
        )
        assert again.verdicts == self.effective.verdicts
        for namespace in ("", *NAMESPACES):
            assert again.find("default", namespace) is self.effective.find("default", namespace)


TestObjects = Objects.TestCase
TestObjects.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
