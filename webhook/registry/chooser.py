"""Choosing for all images of a Pod at once, within the time that a review has."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from webhook.core import Outcome
from webhook.registry.answers import Answer, Finding, Presence
from webhook.registry.choice import choose, options_of, verified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webhook.core import Availability, Decision
    from webhook.registry.choice import Option
    from webhook.registry.inquiry import Inquirer
    from webhook.registry.question import Question

    Heard = Mapping[str, Finding]

__all__ = ["Chooser"]

# Reviews that wait hold memory. What comes on top is answered by what is known.
MAX_WAITING: Final = 1024
MAX_PLANS: Final = 2048
# Longer names are not worth their memory.
MAX_LENGTH: Final = 512

PENDING: Final = Finding(Answer.PENDING)
# Looking a member of an enumeration up costs as much as the rest of a warm answer.
PRESENT: Final = Answer.PRESENT
REWRITTEN: Final = Outcome.REWRITTEN
NOTHING: Final[Heard] = {}


class Chooser:
    """Chooses among the candidates of images by what their registries have.

    Args:
        inquirer: Knows, and asks.
        settings: How long to wait, and what to take on doubt.
    """

    def __init__(self, inquirer: Inquirer, settings: Availability) -> None:
        self._inquirer = inquirer
        self._settings = settings
        self._waiting = 0
        self._plans: OrderedDict[str, tuple[Decision, tuple[Option, ...]]] = OrderedDict()

    def known(self, decisions: Sequence[Decision]) -> list[Decision] | None:
        """Return what becomes of some images, in their order; None if that takes asking.

        Args:
            decisions: What would become of each if every mirror had it.
        """
        chosen: list[Decision] = []
        for decision in decisions:
            if decision.outcome is REWRITTEN and not self._is_there(decision):
                settled = self._settled(decision, self._options(decision))
                if settled is None:
                    return None
                chosen.append(settled)
            else:
                chosen.append(decision)
        return chosen

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Return what becomes of some images, in their order.

        Args:
            decisions: What would become of each if every mirror had it.
            seconds: How long the caller can wait; the budget may be less.
        """
        chosen = self.known(decisions)
        return await self._asked(decisions, seconds) if chosen is None else chosen

    def _is_there(self, decision: Decision) -> bool:
        """Say whether an image can stay as it was decided: the answer that nearly all get."""
        first = self._options(decision)[0]
        if first.candidate is not decision.candidate or first.proofs:
            return False
        finding = self._inquirer.known(first.question)
        return finding is not None and finding.answer is PRESENT

    def judged(self, option: Option, heard: Heard) -> Finding:
        """Return what *heard* says of an option, in the light of its trusted sources."""
        return self._finding(option, heard) or PENDING

    def _options(self, decision: Decision) -> tuple[Option, ...]:
        """Return the options of a decision; those of the latest images are remembered."""
        name = decision.original
        known = self._plans.get(name)
        if known is not None and known[0] is decision:
            return known[1]
        options = options_of(decision)
        if len(name) <= MAX_LENGTH:
            self._plans[name] = decision, options
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return options

    def _settled(
        self,
        decision: Decision,
        options: Sequence[Option],
        heard: Heard = NOTHING,
        missing: Finding | None = None,
    ) -> Decision | None:
        """Return the decision by what is known; None if that is not enough.

        Args:
            decision: What would become of the image if every mirror had it.
            options: What could be taken for it.
            heard: Answers that came to this review.
            missing: What counts as the answer where there is none.
        """
        findings: list[Finding | None] = []
        for option in options:
            finding = self._finding(option, heard) or missing
            findings.append(finding)
            if finding is None or finding.presence is Presence.PRESENT:
                break
        options = options[: len(findings)]
        return choose(decision, options, findings, self._settings.on_unknown)

    def _finding(self, option: Option, heard: Heard) -> Finding | None:
        finding = self._answer(option.question, heard)
        if finding is None or not option.proofs:
            return finding
        digests = []
        for proof in option.proofs:
            answer = self._answer(proof, heard)
            digest = (answer and answer.digest) or self._inquirer.digest_of(proof)
            if answer is None and not digest:
                return None
            digests.append(digest)
        return verified(finding, digests)

    def _answer(self, question: Question, heard: Heard) -> Finding | None:
        """Return the answer to a question; that it went down since comes before all."""
        return self._inquirer.known(question) or heard.get(question.name)

    async def _asked(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Ask for all that is not known at once, and wait for what matters."""
        asked: dict[str, asyncio.Future[Finding]] = {}
        plans = [
            self._options(decision) if decision.outcome is REWRITTEN else ()
            for decision in decisions
        ]
        for options in plans:
            for option in options:
                for question in (option.question, *option.proofs):
                    if question.name not in asked and not self._inquirer.known(question):
                        asked[question.name] = self._inquirer.ask(question)
        heard: dict[str, Finding] = {}
        patience = min(seconds, self._settings.budget)
        if patience > 0 and self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                async with asyncio.timeout(patience):
                    for options in plans:
                        await self._heard(options, asked, heard)
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        heard |= {name: one.result() for name, one in asked.items() if one.done()}
        return [
            (self._settled(decision, options, heard, PENDING) or decision) if options else decision
            for decision, options in zip(decisions, plans, strict=True)
        ]

    async def _heard(
        self,
        options: Sequence[Option],
        asked: Mapping[str, asyncio.Future[Finding]],
        heard: dict[str, Finding],
    ) -> None:
        """Wait until the answers that one image needs are there."""
        for option in options:
            for question in (option.question, *option.proofs):
                future = asked.get(question.name)
                if future is not None and question.name not in heard:
                    heard[question.name] = await asyncio.shield(future)
            finding = self._finding(option, heard)
            if finding is not None and finding.presence is Presence.PRESENT:
                return
