"""Electing one of several replicas by a Lease, as the controllers of Kubernetes do.

The holder renews the Lease. The others take it when it has not changed for as long as it lasts, by
their own monotonic clocks, so clocks may differ. The API server accepts an update only of the
version that was read, so one of them gets it. The holder stops to act well before that: by then
it has renewed the Lease, or it counts itself out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from webhook.kube.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.kube.client import KubeClient

__all__ = ["LeaseElection"]

LEASE_SECONDS: Final = 30
# Less than a Lease lasts by more than one request takes.
HOLD_SECONDS: Final = 15.0


class LeaseElection:
    """Takes part in the election by one Lease; its methods block.

    Args:
        client: Sends the requests.
        namespace: Namespace of the Lease.
        name: Its name. It is created if it does not exist.
        identity: The name of this replica, which no other has.
        stopwatch: Returns monotonic seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        stopwatch: Callable[[], float],
    ) -> None:
        self._client = client
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._stopwatch = stopwatch
        self._version = ""  # as the Lease was last seen to change
        self._seen_at = 0.0
        self._renewed_at = float("-inf")

    @property
    def is_holder(self) -> bool:
        """Whether this replica may act now, for some seconds at least."""
        return self._stopwatch() - self._renewed_at < HOLD_SECONDS

    def campaign(self) -> None:
        """Renew the Lease, or take it if it is free.

        Raises:
            ClusterError: It cannot be read or written.
        """
        began = self._stopwatch()
        action = f"get Lease {self._namespace}/{self._name}"
        try:
            found = self._client.call(action, "GET", f"{self._path}/{self._name}")
        except NotFoundError:
            found = {"metadata": {"name": self._name}}
        spec = found.get("spec") or {}
        version = found["metadata"].get("resourceVersion", "")
        if version != self._version:
            self._version, self._seen_at = version, began
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:  # somebody may have deleted or changed the Lease
            self._renewed_at = float("-inf")
        lasts = spec.get("leaseDurationSeconds") or LEASE_SECONDS
        if holder in ("", self._identity) or began - self._seen_at >= lasts:
            self._write(found, began)

    def release(self) -> None:
        """Let another replica take the Lease at once, if this one holds it.

        Raises:
            ClusterError: It cannot be written.
        """
        if not self.is_holder:
            return
        self._renewed_at = float("-inf")
        # The API server takes no empty identity.
        body = {"metadata": {"resourceVersion": self._version}, "spec": {"holderIdentity": None}}
        action = f"release Lease {self._namespace}/{self._name}"
        self._client.call(action, "PATCH", f"{self._path}/{self._name}", body=body)

    def _write(self, found: Mapping[str, Any], began: float) -> None:
        """Become the holder, unless another replica is faster."""
        spec = found.get("spec") or {}
        is_ours = spec.get("holderIdentity") == self._identity
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        body = {
            **found,
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": LEASE_SECONDS,
                "acquireTime": (is_ours and spec.get("acquireTime")) or now,
                "renewTime": now,
                "leaseTransitions": (spec.get("leaseTransitions") or 0) + (not is_ours),
            },
        }
        exists = "resourceVersion" in found["metadata"]
        action = f"{'update' if exists else 'create'} Lease {self._namespace}/{self._name}"
        path = f"{self._path}/{self._name}" if exists else self._path
        try:
            written = self._client.call(action, "PUT" if exists else "POST", path, body=body)
        except ConflictError:
            self._renewed_at = float("-inf")
            return
        self._version, self._seen_at = written["metadata"]["resourceVersion"], began
        self._renewed_at = began
