"""How what is installed of mirrorhook was installed, and how to install it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.kube.client import KubeClient

__all__ = ["FORCED", "NO_RELEASE", "OUR_LABEL", "InstalledRelease", "find_release", "read_release"]

OUR_LABEL: Final = "app.kubernetes.io/name=mirrorhook"
# Helm 4 applies on the server, and does not change what somebody else has set.
FORCED: Final = "(with --force-conflicts, if Helm 4 reports a conflict)"
DEPLOYMENTS: Final = "/apis/apps/v1/deployments"


class InstalledRelease(NamedTuple):
    """A release of the chart; without a name, it was installed by other means.

    Attributes:
        name: Its name.
        namespace: Its namespace.
    """

    name: str = ""
    namespace: str = ""

    @property
    def upgrade(self) -> str:
        """The command that writes all of its objects again."""
        if not self.name:
            return "kubectl apply on what it was installed from"
        return (
            f"helm upgrade {self.name} charts/mirrorhook --namespace {self.namespace} "
            "--reset-then-reuse-values"
        )


NO_RELEASE: Final = InstalledRelease()


def find_release(metadata: Mapping[str, Any]) -> InstalledRelease:
    """Return the release that an object belongs to, from what Helm writes into its metadata."""
    notes = metadata.get("annotations") or {}
    name = notes.get("meta.helm.sh/release-name") or ""
    namespace = notes.get("meta.helm.sh/release-namespace") or metadata.get("namespace") or ""
    return InstalledRelease(name, namespace)


def read_release(reader: KubeClient) -> InstalledRelease | None:
    """Return a release whose Deployment is in the cluster; None if none is seen."""
    try:
        found = reader.list(DEPLOYMENTS, OUR_LABEL)
    except ClusterError:
        return None
    return find_release(found[0]["metadata"]) if found else None
