"""Images that moved, or are cached, within reach of everybody."""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["BITNAMI_LEGACY", "K8S_GCR_IO", "MIRROR_GCR_IO"]

K8S_GCR_IO: Final = Profile(
    name="k8s-gcr-io",
    title="The old registry of Kubernetes, k8s.gcr.io, to registry.k8s.io",
    source="https://kubernetes.io/blog/2023/03/10/image-registry-redirect/",
    date="2023-03-10",
    status=Status.OPEN,
    note="All its images are at registry.k8s.io; it gets no new ones since 2023-04-03.",
    rules=mirrored("k8s-gcr-io", {"k8s.gcr.io": "registry.k8s.io"}),
)

MIRROR_GCR_IO: Final = Profile(
    name="mirror-gcr-io",
    title="Google's cache of Docker Hub, mirror.gcr.io",
    source="https://cloud.google.com/artifact-registry/docs/pull-cached-dockerhub-images",
    date="2026-11",
    status=Status.OPEN,
    note="Anybody may pull; pulls do not count against the limits of Docker Hub.",
    conditions=("Only public images that are asked for often are there; a pull of others fails.",),
    rules=mirrored("mirror-gcr-io", {"docker.io": "mirror.gcr.io"}),
)

BITNAMI_LEGACY: Final = Profile(
    name="bitnami-legacy",
    title="Bitnami's versioned images, to docker.io/bitnamilegacy",
    source="https://github.com/bitnami/containers/issues/83267",
    date="2025-08-28",
    status=Status.FROZEN,
    note="Bitnami moved its images there when it closed its catalog; they get no updates.",
    conditions=("It buys time to move away: there are no security fixes.",),
    rules=mirrored("bitnami-legacy", {"docker.io/bitnami": "docker.io/bitnamilegacy"}),
)
