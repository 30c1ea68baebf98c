"""
The AdmissionReview protocol, without HTTP: bytes of a review in, bytes of its answer out.
"""

from webhook.admission.answer import Recorder, answer, described
from webhook.admission.memory import remembered
from webhook.admission.policy import Policy, Result, Verdict, judge
from webhook.admission.review import AdmissionRequest, InvalidReviewError, read_review

__all__ = [
    "AdmissionRequest",
    "InvalidReviewError",
    "Policy",
    "Recorder",
    "Result",
    "Verdict",
    "answer",
    "described",
    "judge",
    "read_review",
    "remembered",
]
