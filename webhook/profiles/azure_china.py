"""The registry proxies of Azure China, which everybody in China used in 2019."""

from typing import Final

from webhook.profiles.model import Profile, Status, mirrored

__all__ = ["AZURE_CHINA"]

NAME: Final = "azure-china"

AZURE_CHINA: Final = Profile(
    name=NAME,
    title="Azure China's registry proxies (azk8s.cn)",
    source="https://github.com/Azure/container-service-for-azure-china (aks/README.md)",
    date="2026-01",
    status=Status.RESTRICTED,
    note="Since 2020-04-02 only addresses of Azure China may pull; all others get 403.",
    conditions=(
        "No service level is promised.",
        "A registry that answers 200 on /v2/ proves nothing here: the pull gets the 403.",
    ),
    rules=mirrored(
        NAME,
        {
            "docker.io": "dockerhub.azk8s.cn",
            "gcr.io": "gcr.azk8s.cn",
            "us.gcr.io": "usgcr.azk8s.cn",
            "k8s.gcr.io": "k8sgcr.azk8s.cn",
            "registry.k8s.io": "registryk8s.azk8s.cn",
            "quay.io": "quay.azk8s.cn",
            "mcr.microsoft.com": ("mcr.azure.cn", "mcr.azk8s.cn"),
        },
    ),
)
