"""Reading an AdmissionReview: the request, and of its objects only what concerns images.

The types are those of `k8s.io/api/admission`_, in v1 and v1beta1, so that this package
refuses whatever the API server's own decoder refuses. ``options`` is not read. An object
of an unexpected shape is no reason to refuse a review: it is read again, part by part.

.. _k8s.io/api/admission: https://github.com/kubernetes/api/blob/master/admission/v1/types.go
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from webhook.core.errors import quote
from webhook.objects import Pod, read_pod

__all__ = ["MAX_VALUES", "VERSIONS", "AdmissionRequest", "InvalidReviewError", "read_review"]

# Values in a review, counted by commas and brackets. An object of 1.5 MB, the most that etcd
# stores, has fewer unless it is made for that; to read as many takes up to 60 ms.
MAX_VALUES: Final = 50_000

VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
KIND: Final = "AdmissionReview"


class InvalidReviewError(ValueError):
    """A body that is not an AdmissionReview with a request; the message says why."""


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
    """The user who makes the request; none of its fields is read."""


class AdmissionRequest(Struct, frozen=True, rename="camel"):
    """An AdmissionRequest, its objects read as Pods.

    Attributes:
        uid: Echoed in the answer.
        kind: The kind of the object, after conversion to what the webhook registered.
        operation: ``CREATE``, ``UPDATE``, ``DELETE`` or ``CONNECT``.
        sub_resource: ``ephemeralcontainers``, ``status`` …; empty for the object itself.
        namespace: The namespace, also where the object does not name it yet.
        object: The object as it would be stored; None on DELETE. UNSET if the review has
            more than `MAX_VALUES` values, and its objects were not read.
        old_object: The object as it is stored; None on CREATE.
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
    object: Pod | UnsetType | None = None
    old_object: Pod | UnsetType | None = None


class _LooseRequest(AdmissionRequest, frozen=True):
    """An AdmissionRequest whose objects may be anything."""

    object: Any = None
    old_object: Any = None


class _UnreadRequest(AdmissionRequest, frozen=True):
    """An AdmissionRequest whose objects are not read."""

    object: Raw = Raw()  # type: ignore[assignment]
    old_object: Raw = Raw()  # type: ignore[assignment]


class _Review(Struct, frozen=True, rename="camel"):
    """An AdmissionReview."""

    api_version: str
    kind: str
    request: AdmissionRequest


class _LooseReview(_Review, frozen=True):
    """An AdmissionReview whose objects may be anything."""

    request: _LooseRequest


class _UnreadReview(_Review, frozen=True):
    """An AdmissionReview whose objects are not read."""

    request: _UnreadRequest


_decode = msgspec.json.Decoder(_Review).decode
_decode_loosely = msgspec.json.Decoder(_LooseReview).decode
_decode_unread = msgspec.json.Decoder(_UnreadReview).decode


def read_review(body: bytes) -> tuple[str, AdmissionRequest]:
    """Decode and check the body of a review.

    Returns:
        The apiVersion of the review, which the answer has to repeat, and the request.

    Raises:
        InvalidReviewError: The body is not an AdmissionReview of a known version
            with a request that has a uid.
    """
    review = _decode_review(body)
    if review.kind != KIND:
        raise InvalidReviewError(f"kind is {quote(review.kind)}, not {KIND}")
    if review.api_version not in VERSIONS:
        expected = " or ".join(VERSIONS)
        shown = quote(review.api_version)
        raise InvalidReviewError(f"apiVersion is {shown}, not {expected}")
    if not review.request.uid:
        raise InvalidReviewError("request.uid is empty")
    return review.api_version, review.request


def _decode_review(body: bytes) -> _Review:
    try:
        # msgspec does not check the encoding of texts that it skips.
        if not body.isascii():
            body.decode()
        if len(body) > MAX_VALUES and _has_too_many_values(body):
            review = _decode_unread(body)
            return replace(review, request=replace(review.request, object=UNSET, old_object=UNSET))
        try:
            return _decode(body)
        except msgspec.ValidationError:
            return _read_objects(_decode_loosely(body))
    except UnicodeDecodeError as error:
        raise InvalidReviewError(f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidReviewError("the body is nested too deep") from None
    except msgspec.ValidationError as error:
        problem = f"the body is not an {KIND} with a request: {error}"
        raise InvalidReviewError(problem) from None
    except msgspec.DecodeError as error:
        raise InvalidReviewError(f"the body is not JSON: {error}") from None


def _has_too_many_values(body: bytes) -> bool:
    """Return whether a body has more than `MAX_VALUES` values; counting takes 3 ms for 1 MB."""
    return sum(map(body.count, (b",", b"{", b"["))) > MAX_VALUES


def _read_objects(review: _LooseReview) -> _Review:
    """Return a review with its objects read part by part."""
    request = review.request
    pod, old = (
        None if value is None else read_pod(value) for value in (request.object, request.old_object)
    )
    return replace(review, request=replace(request, object=pod, old_object=old))
