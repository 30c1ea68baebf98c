"""Who is told of questions and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from webhook.registry.answers import Finding

__all__ = ["Observer", "Silent"]


class Observer(Protocol):
    """Who is told of questions and answers: log, metrics, a progress bar."""

    def answered(self, mirror: str, finding: Finding) -> None:
        """Note an answer."""

    def switched(self, registry: str, *, is_open: bool, finding: Finding) -> None:
        """Note that a registry is left alone from now on, or is asked again."""

    def failed(self, question: str, error: Exception) -> None:
        """Note an error of ours. Its message may hold what was sent, and is not to be shown."""

    def troubled(self, problem: str) -> None:
        """Note in a sentence that a file cannot be used."""


class Silent:
    """An observer that does nothing."""

    def answered(self, mirror: str, finding: Finding) -> None:
        """Do nothing."""

    def switched(self, registry: str, *, is_open: bool, finding: Finding) -> None:
        """Do nothing."""

    def failed(self, question: str, error: Exception) -> None:
        """Do nothing."""

    def troubled(self, problem: str) -> None:
        """Do nothing."""
