"""Reading an AdmissionReview: the request's envelope, and of its objects only the images.

The types are those of `k8s.io/api/admission`_, in v1 and v1beta1, so that what the
API server's own decoder refuses is refused here as well. Of ``options`` nothing is
read. An object of an unexpected shape is no reason to refuse a review: it is read
again, part by part.

.. _k8s.io/api/admission: https://github.com/kubernetes/api/blob/master/admission/v1/types.go
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from webhook.admission.annotated import AnnotatedPod, read_annotations
from webhook.objects import Pod, pod_from

__all__ = ["AdmissionRequest", "InvalidReviewError", "read_review"]

VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
KIND: Final = "AdmissionReview"
# Most of a smaller one are not its annotations.
LARGE: Final = 16 * 1024


class InvalidReviewError(ValueError):
    """A body that is no AdmissionReview with a request; the message says why."""


class GroupVersionKind(Struct, frozen=True, gc=False):
    """A kind of objects."""

    group: str | None = None
    version: str | None = None
    kind: str | None = None


class GroupVersionResource(Struct, frozen=True, gc=False):
    """A resource of the API."""

    group: str | None = None
    version: str | None = None
    resource: str | None = None


class UserInfo(Struct, frozen=True, gc=False):
    """Who asks; nothing of it is used."""


class Envelope(Struct, frozen=True, rename="camel"):
    """An AdmissionRequest without its objects.

    Attributes:
        uid: Echoed in the answer.
        kind: The kind of the object, after conversion to what the webhook registered.
        operation: ``CREATE``, ``UPDATE``, ``DELETE`` or ``CONNECT``.
        sub_resource: ``ephemeralcontainers``, ``status`` …; empty for the object itself.
        namespace: The namespace, also where the object does not name it yet.
    """

    uid: str
    kind: GroupVersionKind | None = None
    resource: GroupVersionResource | None = None
    sub_resource: str | None = None
    request_kind: GroupVersionKind | None = None
    request_resource: GroupVersionResource | None = None
    request_sub_resource: str | None = None
    name: str | None = None
    namespace: str | None = None
    operation: str | None = None
    user_info: UserInfo | None = None
    dry_run: bool | None = None


class AdmissionRequest(Envelope, frozen=True):
    """An AdmissionRequest, its objects read as Pods.

    Attributes:
        object: The object as it would be stored; None on DELETE.
        old_object: The object as it is stored; None on CREATE.
    """

    object: Pod | None = None
    old_object: Pod | None = None


class AnnotatedRequest(AdmissionRequest, frozen=True):
    """An AdmissionRequest whose annotations are still to be read."""

    object: AnnotatedPod | None = None
    old_object: AnnotatedPod | None = None


class LooseRequest(Envelope, frozen=True):
    """An AdmissionRequest whose objects may be anything."""

    object: Any = None
    old_object: Any = None


class Review(Struct, frozen=True, rename="camel"):
    """An AdmissionReview."""

    api_version: str
    kind: str
    request: AdmissionRequest


class AnnotatedReview(Review, frozen=True):
    """An AdmissionReview whose annotations are still to be read."""

    request: AnnotatedRequest


class LooseReview(Struct, frozen=True, rename="camel"):
    """An AdmissionReview whose objects may be anything."""

    api_version: str
    kind: str
    request: LooseRequest


_review = msgspec.json.Decoder(Review).decode
_annotated_review = msgspec.json.Decoder(AnnotatedReview).decode
_loose_review = msgspec.json.Decoder(LooseReview).decode


def read_review(body: bytes) -> tuple[str, AdmissionRequest]:
    """Read the body of a review.

    Returns:
        The apiVersion asked with, which the answer must have as well, and the request.

    Raises:
        InvalidReviewError: The body is not an AdmissionReview of a known version
            with a request that has a uid.
    """
    review = decoded(body)
    if review.kind != KIND:
        raise InvalidReviewError(f"kind is {review.kind!r}, not {KIND}")
    if review.api_version not in VERSIONS:
        expected = " or ".join(VERSIONS)
        raise InvalidReviewError(f"apiVersion is {review.api_version!r}, not {expected}")
    if not review.request.uid:
        raise InvalidReviewError("request.uid is empty")
    return review.api_version, review.request


def decoded(body: bytes) -> Review:
    """Decode the body; text that is skipped has to be UTF-8 too, which msgspec leaves open.

    Raises:
        InvalidReviewError: It is not JSON, or not of the types of a review.
    """
    try:
        if not body.isascii():
            body.decode()
        try:
            return _review(body) if len(body) < LARGE else large(body)
        except msgspec.ValidationError:
            return strict(_loose_review(body))
    except UnicodeDecodeError as error:
        raise InvalidReviewError(f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidReviewError("the body is nested too deep") from None
    except msgspec.ValidationError as error:
        problem = f"the body is not an {KIND} with a request: {error}"
        raise InvalidReviewError(problem) from None
    except msgspec.DecodeError as error:
        raise InvalidReviewError(f"the body is not JSON: {error}") from None


def large(body: bytes) -> Review:
    """Decode a large body, most of which may be annotations.

    Raises:
        msgspec.ValidationError: It is not of the types of a review.
    """
    review = _annotated_review(body)
    read_annotations(review.request.object)
    read_annotations(review.request.old_object)
    return review


def strict(review: LooseReview) -> Review:
    """Return a review with its objects read part by part."""
    request = review.request
    parts = {name: getattr(request, name) for name in Envelope.__struct_fields__}
    return Review(
        api_version=review.api_version,
        kind=review.kind,
        request=AdmissionRequest(
            **parts,
            object=pod_or_none(request.object),
            old_object=pod_or_none(request.old_object),
        ),
    )


def pod_or_none(value: object) -> Pod | None:
    """Read a Pod from plain JSON values; None stays None."""
    return None if value is None else pod_from(value)
