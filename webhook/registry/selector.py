"""Select a candidate for each image of a Pod by image checks, within the time of a review."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Final

from webhook.core import InvalidReferenceError, OnUnknown, Original, Outcome
from webhook.core.settings import ORIGINAL_TARGET
from webhook.registry.cache import BoundedCache
from webhook.registry.checker import ImageCheck
from webhook.registry.responses import CheckResult, CheckStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from webhook.core import Candidate, Decision, ImageReference, Mirror, Rule
    from webhook.registry.checker import ImageChecker

    Results = Mapping[str, CheckResult]

__all__ = [
    "CandidateSelector",
    "Option",
    "list_options",
    "select_option",
    "select_unchecked",
    "verify_digest",
]

# Reasons are read by people, and recorded in audit events.
MAX_REASONS: Final = 4
# Reviews that wait hold memory: any more get what is known.
MAX_WAITING: Final = 1024
# The options of some thousand images.
MAX_OPTION_BYTES: Final = 6 * 1024 * 1024
# An option with its share of the decision, without the characters of the image's name.
OPTION_BYTES: Final = 1200
# Looking up a member takes as long as the rest of a choice that is known.
REWRITTEN: Final = Outcome.REWRITTEN
PENDING: Final = CheckResult(CheckStatus.PENDING)
BUSY: Final = CheckResult(CheckStatus.BUSY)
NO_RESULTS: Final[Results] = {}


@dataclass(frozen=True, slots=True)
class Option:
    """One image that can be selected, and the checks that this takes.

    Attributes:
        candidate: The image at a mirror; None for the original.
        check: Whether its registry has it.
        trusted: Checks for the same image at trusted sources, to compare digests.
    """

    candidate: Candidate | None
    check: ImageCheck
    trusted: tuple[ImageCheck, ...] = ()

    @property
    def checks(self) -> tuple[ImageCheck, ...]:
        """All its checks."""
        return (self.check, *self.trusted)


class CandidateSelector:
    """Selects among the candidates of images by what their registries have.

    Args:
        checker: Knows which images registries have, and finds out.
    """

    def __init__(self, checker: ImageChecker) -> None:
        self._checker = checker
        self._settings = checker.settings
        self._waiting = 0
        self._options: BoundedCache[str, tuple[Decision, tuple[Option, ...]]]
        self._options = BoundedCache(MAX_OPTION_BYTES)

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Return the decisions for some images, in their order.

        Args:
            decisions: The decision for each image if every mirror had it.
            seconds: How long the caller can wait; the budget may be less.
        """
        selected = []
        for decision in decisions:
            known = self._select(decision, self._list_options(decision))
            if known is None:
                return await self._ask(decisions, seconds)
            selected.append(known)
        return selected

    def evaluate(self, option: Option, results: Results) -> CheckResult:
        """Return the result for an option, compared with its trusted sources.

        Args:
            option: The option.
            results: Results of checks by image, for those that are not remembered.
        """
        return self._evaluate(option, results) or PENDING

    def _evaluate(self, option: Option, results: Results) -> CheckResult | None:
        result = self._get_result(option.check, results)
        if result is None or not option.trusted:
            return result
        digests = []
        for check in option.trusted:
            trusted = self._get_result(check, results)
            digest = (trusted and trusted.digest) or self._checker.get_digest(check)
            if trusted is None and not digest:
                return None
            digests.append(digest)
        return verify_digest(result, digests)

    def _list_options(self, decision: Decision) -> tuple[Option, ...]:
        """Return the options of a decision, which are cached by the image's name."""
        if decision.outcome is not REWRITTEN:
            return ()
        name = decision.original
        known = self._options.get(name)
        if known is not None and known[0] is decision:
            return known[1]
        options = list_options(decision)
        # Each option repeats the name in its reference, its check and the decision.
        size = (OPTION_BYTES + 4 * len(name)) * len(options)
        self._options.put(name, (decision, options), size)
        return options

    def _select(
        self,
        decision: Decision,
        options: Sequence[Option],
        results: Results = NO_RESULTS,
        default: CheckResult | None = None,
    ) -> Decision | None:
        """Return the decision by what is known, and *default* for the rest; None if in doubt."""
        if not options:
            return decision
        known = (self._evaluate(option, results) or default for option in options)
        return select_option(decision, options, known, self._settings.on_unknown)

    def _get_result(self, check: ImageCheck, results: Results) -> CheckResult | None:
        # The checker comes first: the registry may have gone down since it answered.
        return self._checker.get_result(check) or results.get(check.image)

    async def _ask(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Start all checks that are needed at once, and wait for those that matter."""
        options = [self._list_options(decision) for decision in decisions]
        running: dict[str, asyncio.Future[CheckResult]] = {}
        for check in (check for each in options for option in each for check in option.checks):
            if check.image not in running and not self._checker.get_result(check):
                running[check.image] = self._checker.run(check)
        results: dict[str, CheckResult] = {}
        seconds = min(seconds, self._settings.budget)
        if seconds > 0 and self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                async with asyncio.timeout(seconds):
                    for each in options:
                        await self._wait(each, running, results)
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        results |= {image: task.result() for image, task in running.items() if task.done()}
        return [
            self._select(decision, each, results, PENDING) or decision
            for decision, each in zip(decisions, options, strict=True)
        ]

    async def _wait(
        self,
        options: Sequence[Option],
        running: Mapping[str, asyncio.Future[CheckResult]],
        results: dict[str, CheckResult],
    ) -> None:
        """Wait for the results that decide on one image."""
        for option in options:
            for check in option.checks:
                task = running.get(check.image)
                if task is not None and check.image not in results:
                    results[check.image] = await asyncio.shield(task)
            result = self._evaluate(option, results)
            if result is not None and result.is_present:
                return


def list_options(decision: Decision) -> tuple[Option, ...]:
    """Return what can be selected for an image, in order of preference.

    The original is checked only if it comes first: as the last resort it is taken without
    a check, as its registry may be out of reach.
    """
    reference, rule = decision.reference, decision.rule
    if reference is None or rule is None or not decision.candidates:
        return ()
    options = [
        Option(
            candidate,
            _check_mirror(candidate.reference, candidate.mirror),
            tuple(_list_trusted(candidate, reference)),
        )
        for candidate in decision.candidates
    ]
    if rule.original is Original.FIRST:
        options.insert(0, Option(None, _check_original(reference, rule)))
    return tuple(options)


def _list_trusted(candidate: Candidate, reference: ImageReference) -> Iterator[ImageCheck]:
    # Whoever pulls by digest verifies it.
    if reference.digest is not None:
        return
    for rule, mirror in candidate.steps:
        if rule.verify:
            yield _check_trusted(reference, rule)
        reference = rule.rewrite_reference(mirror, reference)


def _check_trusted(reference: ImageReference, rule: Rule) -> ImageCheck:
    if rule.trusted is not None:
        try:
            return _check_mirror(rule.rewrite_reference(rule.trusted, reference), rule.trusted)
        except InvalidReferenceError:
            pass
    return _check_original(reference, rule)


def _check_mirror(reference: ImageReference, mirror: Mirror) -> ImageCheck:
    # A registry that a regular expression takes from the image is not named by the rule.
    return ImageCheck(reference, mirror.target, is_named=mirror.registry == reference.registry)


def _check_original(reference: ImageReference, rule: Rule) -> ImageCheck:
    is_named = rule.match is not None and rule.match.registry == reference.registry
    return ImageCheck(reference, ORIGINAL_TARGET, is_named=is_named)


def verify_digest(result: CheckResult, digests: Iterable[str]) -> CheckResult:
    """Return a mirror's result, unless its digest differs from one at a trusted source.

    Args:
        result: The result of the mirror.
        digests: The digest at each trusted source; empty if it was never seen.
    """
    if not result.is_present and not result.was_present:
        return result
    for digest in digests:
        if not digest:
            detail = "its trusted source has sent no digest yet"
        elif not result.digest:
            detail = "it sends no digest"
        elif digest != result.digest:
            detail = f"{result.digest}, and {digest} at its trusted source"
            status = CheckStatus.MISMATCH
            return replace(result, status=status, detail=detail, was_present=False)
        else:
            continue
        status = CheckStatus.UNVERIFIED
        return replace(result, status=status, detail=detail, was_present=False)
    return result


def select_option(
    decision: Decision,
    options: Iterable[Option],
    results: Iterable[CheckResult | None],
    on_unknown: OnUnknown,
) -> Decision | None:
    """Return the decision for an image by the results for its options.

    The first option that is present is taken, or else the first that is known to have been at
    a registry that is down now. If all are absent, the original stays: even if something is
    wrong with it, it is what somebody wrote.

    Args:
        decision: The decision if every mirror had the image.
        options: Its options.
        results: The result for each option; None while it is missing.
        on_unknown: What to take if no option is known to be present, but one may be.

    Returns:
        None while a result is missing that matters.
    """
    failed: list[tuple[Option, CheckResult]] = []
    for option, result in zip(options, results, strict=False):
        if result is None:
            return None
        if result.is_present:
            return _take(decision, option, failed)
        failed.append((option, result))
    for option, result in failed:
        if result.was_present:
            return _take(decision, option, failed)
    return _fall_back(decision, failed, on_unknown)


def select_unchecked(decision: Decision, on_unknown: OnUnknown) -> Decision:
    """Return the decision for an image while there are too many checks for another one.

    Args:
        decision: The decision if every mirror had the image.
        on_unknown: As for `select_option`.
    """
    options = list_options(decision) if decision.outcome is REWRITTEN else ()
    if not options:
        return decision
    return select_option(decision, options, repeat(BUSY), on_unknown) or decision


def _take(decision: Decision, option: Option, failed: list[tuple[Option, CheckResult]]) -> Decision:
    """Return the decision for an option that is or was present, by what failed besides."""
    candidate = option.candidate
    if candidate is None:
        registry = option.check.reference.registry
        reason = f"rule {decision.rule} tries the original first, and {registry} has it"
        if failed:
            reason = f"rule {decision.rule} tries the original first: {_join_reasons(failed)}"
        return decision._replace(outcome=Outcome.KEPT, reason=reason, candidate=None)
    if not failed:
        return decision
    reason = f"{candidate.reason}, because {_join_reasons(failed)}"
    return decision._replace(reason=reason, candidate=candidate)


def _fall_back(
    decision: Decision, failed: list[tuple[Option, CheckResult]], on_unknown: OnUnknown
) -> Decision:
    """Return the decision if no option is known to be present."""
    reasons = _join_reasons(failed)
    unknown = [
        (option.candidate, result)
        for option, result in failed
        if option.candidate and not result.status.is_absent
    ]
    never = decision.rule is not None and decision.rule.original is Original.NEVER
    if unknown and (never or on_unknown is OnUnknown.MIRROR):
        up = [candidate for candidate, result in unknown if result.status is not CheckStatus.DOWN]
        candidate = up[0] if up else unknown[0][0]
        reason = f"{candidate.reason}, unconfirmed: {reasons}"
        return decision._replace(outcome=Outcome.UNCONFIRMED, reason=reason, candidate=candidate)
    absent = "no mirror is known to have it" if unknown else "no mirror has it"
    reason = f"{absent}: {reasons}"
    return decision._replace(outcome=Outcome.UNAVAILABLE, reason=reason, candidate=None)


def _join_reasons(failed: list[tuple[Option, CheckResult]]) -> str:
    reasons = [
        f"{option.check.reference.registry} {result.reason}"
        for option, result in failed[:MAX_REASONS]
    ]
    more = len(failed) - MAX_REASONS
    return ", ".join(reasons) + (f" and {more} more" if more > 0 else "")
