"""The container mirrors of the University of Science and Technology of China."""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["USTC"]

NAME: Final = "ustc"

USTC: Final = Profile(
    name=NAME,
    title="University of Science and Technology of China",
    source="https://github.com/ustclug/mirrorhelp (docs/dockerhub.md)",
    date="2024-08-12",
    status=Status.CLOSED,
    note="All container caches are closed: Docker Hub since 2024-06-06, gcr.io and quay.io "
    "since 2024-08-12.",
    conditions=("It is kept here so that rules and guides that name it can be understood.",),
    rules=mirrored(
        NAME,
        {
            "docker.io": "docker.mirrors.ustc.edu.cn",
            "gcr.io": "gcr.mirrors.ustc.edu.cn",
            "k8s.gcr.io": "gcr.mirrors.ustc.edu.cn/google-containers",
            "quay.io": "quay.mirrors.ustc.edu.cn",
        },
    ),
)
