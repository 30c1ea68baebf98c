"""DaoCloud's public image mirror, in both forms of its names."""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["DAOCLOUD", "DAOCLOUD_HOST"]

SOURCE: Final = "https://github.com/DaoCloud/public-image-mirror"
DATE: Final = "2026-08-21"
NOTE: Final = "Anybody may pull what is on its allowlist; the blobs of all else get 403."
CONDITIONS: Final = (
    "The allowlist is allows.txt in the source's repository.",
    "Rates are limited; large images are best pulled from 01:00 to 07:00 in Beijing.",
    "Manifests are cached for an hour, so that moving tags lag; digests are kept.",
)

# Each registry with its host; the prefix form takes every one of them.
HOSTS: Final = {
    "docker.io": "docker.m.daocloud.io",
    "docker.elastic.co": "elastic.m.daocloud.io",
    "dhi.io": "dhi.m.daocloud.io",
    "gcr.io": "gcr.m.daocloud.io",
    "ghcr.io": "ghcr.m.daocloud.io",
    "k8s.gcr.io": "k8s-gcr.m.daocloud.io",
    "mcr.microsoft.com": "mcr.m.daocloud.io",
    "nvcr.io": "nvcr.m.daocloud.io",
    "quay.io": "quay.m.daocloud.io",
    "registry.k8s.io": "k8s.m.daocloud.io",
    "registry.ollama.ai": "ollama.m.daocloud.io",
}

DAOCLOUD: Final = Profile(
    name="daocloud",
    title="DaoCloud public image mirror, whole name behind m.daocloud.io",
    source=SOURCE,
    date=DATE,
    status=Status.OPEN,
    note=NOTE,
    conditions=CONDITIONS,
    rules=mirrored("daocloud", {match: f"m.daocloud.io/{match}" for match in HOSTS}),
)

DAOCLOUD_HOST: Final = Profile(
    name="daocloud-host",
    title="DaoCloud public image mirror, a host for each registry",
    source=SOURCE,
    date=DATE,
    status=Status.OPEN,
    note=NOTE,
    conditions=(
        "DaoCloud recommends the other form: profile daocloud.",
        *CONDITIONS,
    ),
    rules=mirrored("daocloud-host", HOSTS),
)
