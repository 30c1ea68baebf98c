"""The AdmissionReview protocol, without HTTP: bytes of a review in, bytes of its answer out."""

from webhook.admission.answer import OUR_ERROR, Recorder, answer, answer_asking
from webhook.admission.loops import Loops, LoopWatch, StoppedOwner
from webhook.admission.memory import remembered
from webhook.admission.policy import Choice, Policy, judge, judge_asking
from webhook.admission.review import AdmissionRequest, InvalidReviewError, read_review
from webhook.admission.verdict import Result, Totals, Verdict

__all__ = [
    "OUR_ERROR",
    "AdmissionRequest",
    "Choice",
    "InvalidReviewError",
    "LoopWatch",
    "Loops",
    "Policy",
    "Recorder",
    "Result",
    "StoppedOwner",
    "Totals",
    "Verdict",
    "answer",
    "answer_asking",
    "judge",
    "judge_asking",
    "read_review",
    "remembered",
]
