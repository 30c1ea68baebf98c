"""Mirrors of Chinese universities that are listed as alive."""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["NJU", "SJTU"]

LIST: Final = "https://github.com/kubesre/docker-registry-mirrors"
JUNE: Final = "Access from outside the campus has been cut in early June of several years."

NJU: Final = Profile(
    name="nju",
    title="Nanjing University, without Docker Hub",
    source=LIST,
    date="2026-11",
    status=Status.OPEN,
    note="A list of others names it as alive; its Docker Hub mirror is gone.",
    conditions=(JUNE,),
    rules=mirrored(
        "nju",
        {
            "gcr.io": "gcr.nju.edu.cn",
            "ghcr.io": "ghcr.nju.edu.cn",
            "k8s.gcr.io": "gcr.nju.edu.cn/google-containers",
            "nvcr.io": ("ngc.nju.edu.cn", "nvcr.nju.edu.cn"),
            "quay.io": "quay.nju.edu.cn",
            "registry.k8s.io": ("k8s.mirror.nju.edu.cn", "k8s.nju.edu.cn"),
        },
    ),
)

SJTU: Final = Profile(
    name="sjtu",
    title="Shanghai Jiao Tong University, registry.k8s.io only",
    source=f"SJTUG news of 2024-02-16, and {LIST}",
    date="2026-11",
    status=Status.RESTRICTED,
    note="Only addresses in mainland China may pull; its Docker Hub mirror is gone.",
    conditions=(JUNE,),
    rules=mirrored(
        "sjtu",
        {
            "k8s.gcr.io": "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn",
            "registry.k8s.io": "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn",
        },
    ),
)
