"""The AdmissionReview protocol, without HTTP: a review as bytes in, its answer as bytes out."""

from webhook.admission.handler import INTERNAL_ERROR, Recorder, review
from webhook.admission.loop_detector import LoopCounts, LoopDetector, LoopObserver, StoppedOwner
from webhook.admission.policy import PlanCache, Policy, Selector
from webhook.admission.request import AdmissionRequest, InvalidReviewError
from webhook.admission.response import ReviewOutcome, ReviewResult, Totals

__all__ = [
    "INTERNAL_ERROR",
    "AdmissionRequest",
    "InvalidReviewError",
    "LoopCounts",
    "LoopDetector",
    "LoopObserver",
    "PlanCache",
    "Policy",
    "Recorder",
    "ReviewOutcome",
    "ReviewResult",
    "Selector",
    "StoppedOwner",
    "Totals",
    "review",
]
