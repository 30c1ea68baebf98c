from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import images, maps
from webhook.core import Mirror, MirrorMap, OnUnknown, Original, Outcome, Rule
from webhook.registry.responses import CheckResult, CheckStatus
from webhook.registry.selector import list_options, select_option, verify_digest

HAS, HAS_NOT, HANGS = CheckStatus.PRESENT, CheckStatus.ABSENT, CheckStatus.TIMEOUT
DOWN, LOGIN, DENIED = CheckStatus.DOWN, CheckStatus.UNAUTHORIZED, CheckStatus.FORBIDDEN
MIRROR, ORIGINAL = OnUnknown.MIRROR, OnUnknown.ORIGINAL
LAST, FIRST, NEVER = Original
REWRITTEN, UNCONFIRMED = Outcome.REWRITTEN, Outcome.UNCONFIRMED
UNAVAILABLE, KEPT = Outcome.UNAVAILABLE, Outcome.KEPT
IMAGE, ONE, TWO = "nginx:1", "one.example/library/nginx:1", "two.example/library/nginx:1"


def decided(answers, on_unknown=ORIGINAL, original=LAST):
    rule = Rule("docker.io", ["one.example", "two.example"], original=original)
    decision = MirrorMap([rule]).decide(IMAGE)
    options = list_options(decision)
    results = [CheckResult(each) for each in answers]
    return select_option(decision, options, results, on_unknown)


@pytest.mark.parametrize(
    ("original", "on_unknown", "answers", "outcome", "image"),
    [
        (LAST, ORIGINAL, [HAS, HAS], REWRITTEN, ONE),
        (LAST, ORIGINAL, [HAS_NOT, HAS], REWRITTEN, TWO),
        (LAST, ORIGINAL, [DENIED, HAS], REWRITTEN, TWO),
        (LAST, ORIGINAL, [HANGS, HAS], REWRITTEN, TWO),
        (LAST, MIRROR, [HANGS, HAS], REWRITTEN, TWO),
        (LAST, ORIGINAL, [HAS_NOT, HAS_NOT], UNAVAILABLE, IMAGE),
        (LAST, MIRROR, [HAS_NOT, HAS_NOT], UNAVAILABLE, IMAGE),
        (LAST, ORIGINAL, [HANGS, HAS_NOT], UNAVAILABLE, IMAGE),
        (LAST, MIRROR, [HANGS, HAS_NOT], UNCONFIRMED, ONE),
        (LAST, MIRROR, [HAS_NOT, LOGIN], UNCONFIRMED, TWO),
        (LAST, MIRROR, [DOWN, LOGIN], UNCONFIRMED, TWO),
        (LAST, MIRROR, [DOWN, DOWN], UNCONFIRMED, ONE),
        (FIRST, ORIGINAL, [HAS, HAS, HAS], KEPT, IMAGE),
        (FIRST, ORIGINAL, [HAS_NOT, HAS, HAS], REWRITTEN, ONE),
        (FIRST, ORIGINAL, [HANGS, HAS, HAS], REWRITTEN, ONE),
        (FIRST, ORIGINAL, [HANGS, HANGS, HAS_NOT], UNAVAILABLE, IMAGE),
        (FIRST, MIRROR, [HANGS, HANGS, HAS_NOT], UNCONFIRMED, ONE),
        (FIRST, MIRROR, [HANGS, HAS_NOT, HAS_NOT], UNAVAILABLE, IMAGE),
        (NEVER, ORIGINAL, [HAS, HAS], REWRITTEN, ONE),
        (NEVER, ORIGINAL, [HANGS, HAS_NOT], UNCONFIRMED, ONE),
        (NEVER, ORIGINAL, [HAS_NOT, HAS_NOT], UNAVAILABLE, IMAGE),
    ],
)
def test_first_present_option_is_selected(original, on_unknown, answers, outcome, image):
    decision = decided(answers, on_unknown, original)

    assert (decision.outcome, decision.image) == (outcome, image)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (decided([HAS, HAS]), "rule docker.io → one.example"),
        (
            decided([HAS_NOT, HAS]),
            "rule docker.io → two.example, because one.example does not have it",
        ),
        (
            decided([HAS_NOT, DENIED]),
            ("no mirror has it: one.example does not have it, two.example refuses access to it"),
        ),
        (
            decided([HANGS, HAS_NOT]),
            (
                "no mirror is known to have it: one.example does not answer in time, "
                "two.example does not have it"
            ),
        ),
        (
            decided([HANGS, HAS_NOT], MIRROR),
            (
                "rule docker.io → one.example, unconfirmed: one.example does not answer in "
                "time, two.example does not have it"
            ),
        ),
        (
            decided([HAS, HAS, HAS], original=FIRST),
            "rule docker.io tries the original first, and docker.io has it",
        ),
    ],
)
def test_reason_has_results_of_registries(decision, reason):
    assert decision.reason == reason


def test_nothing_is_selected_while_result_is_missing():
    decision = MirrorMap([Rule("docker.io", ["one.example", "two.example"])]).decide(IMAGE)
    options = list_options(decision)

    assert select_option(decision, options, [None, CheckResult(HAS)], ORIGINAL) is None
    assert select_option(decision, options, [CheckResult(HAS_NOT), None], ORIGINAL) is None
    assert select_option(decision, options, [CheckResult(HAS), None], ORIGINAL) is decision


def test_decision_without_rewrite_has_no_options():
    decide = MirrorMap([Rule("docker.io", keep=True)]).decide

    assert [list_options(decide(image)) for image in ("nginx", "a.io/b", "NGINX")] == [()] * 3


A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("answer", "digest", "trusted", "found"),
    [
        (HAS, A, [A], HAS),
        (HAS, A, [A, A], HAS),
        (HAS, A, [B], CheckStatus.MISMATCH),
        (HAS, A, [A, B], CheckStatus.MISMATCH),
        (HAS, "", [A], CheckStatus.UNVERIFIED),
        (HAS, A, [""], CheckStatus.UNVERIFIED),
        (HAS_NOT, "", [""], HAS_NOT),
        (HANGS, "", [A], HANGS),
    ],
)
def test_digest_must_match_trusted_sources(answer, digest, trusted, found):
    assert verify_digest(CheckResult(answer, digest=digest), trusted).status is found


def test_mismatch_shows_both_digests():
    assert verify_digest(CheckResult(HAS, digest=A), [B]).reason == (
        f"has another image under that name ({A}, and {B} at its trusted source)"
    )


@pytest.mark.parametrize(
    ("rules", "image", "proofs"),
    [
        ([Rule("gcr.io", ["m.io"])], "gcr.io/a:1", []),
        ([Rule("gcr.io", ["m.io"], verify=True)], "gcr.io/a:1", ["gcr.io/a:1"]),
        ([Rule("gcr.io", ["m.io"], verify=True)], f"gcr.io/a:1@{A}", []),
        (
            [Rule("gcr.io", ["m.io"], verify=True, trusted=Mirror("t.io/gcr"))],
            "gcr.io/a:1",
            ["t.io/gcr/a:1"],
        ),
        (
            [Rule("gcr.io", ["m.io"], verify=True, trusted=Mirror("t.io/" + "t" * 250))],
            "gcr.io/abcdef:1",
            ["gcr.io/abcdef:1"],
        ),
        (
            [
                Rule("docker.io/x", ["docker.io/y"]),
                Rule("docker.io", ["m.io"], verify=True),
            ],
            "x/a",
            ["docker.io/y/a"],
        ),
        (
            [
                Rule("docker.io/x", ["docker.io/y"], verify=True),
                Rule("docker.io", ["m.io"], verify=True, trusted=Mirror("t.io")),
            ],
            "x/a",
            ["docker.io/x/a", "t.io/y/a"],
        ),
    ],
)
def test_option_lists_trusted_source_of_each_rule(rules, image, proofs):
    (option,) = list_options(MirrorMap(rules).decide(image))

    assert [check.image for check in option.trusted] == proofs


@given(
    maps(),
    images,
    st.lists(st.sampled_from(CheckStatus), min_size=70, max_size=70),
    st.sampled_from(OnUnknown),
    st.sampled_from(Original),
)
def test_selected_image_is_never_absent(rules, image, answers, on_unknown, original):
    for rule in rules.rules:
        object.__setattr__(rule, "original", original)
    decision = rules.decide(image)
    options = list_options(decision)
    results = [CheckResult(answer) for answer in answers[: len(options)]]
    if not options:
        return
    chosen = select_option(decision, options, results, on_unknown)

    assert chosen.original == image
    if chosen.candidate is None:
        assert chosen.image == image
        return
    pairs = zip(options, results, strict=True)
    found = {option.candidate and option.candidate.image: result for option, result in pairs}
    result = found[chosen.image]
    assert not result.status.is_absent
    if not result.is_present:
        assert original is NEVER or on_unknown is MIRROR
        assert chosen.outcome is UNCONFIRMED
        assert HAS not in {each.status for each in results}
