"""Built-in rules for public mirrors: data, each with its source, date and status.

Nothing here is probed: mirrors die, and a profile says when it was last known to live.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from webhook.profiles.aliyun import ALIYUN_GOOGLE_CONTAINERS
from webhook.profiles.azure_china import AZURE_CHINA
from webhook.profiles.campus import NJU, SJTU
from webhook.profiles.daocloud import DAOCLOUD, DAOCLOUD_HOST
from webhook.profiles.model import Profile, Status
from webhook.profiles.moved import BITNAMI_LEGACY, K8S_GCR_IO, MIRROR_GCR_IO
from webhook.profiles.ustc import USTC

__all__ = ["PROFILES", "Profile", "Status"]

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            DAOCLOUD,
            DAOCLOUD_HOST,
            NJU,
            SJTU,
            ALIYUN_GOOGLE_CONTAINERS,
            K8S_GCR_IO,
            MIRROR_GCR_IO,
            BITNAMI_LEGACY,
            AZURE_CHINA,
            USTC,
        )
    }
)
