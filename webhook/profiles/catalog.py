"""The data of the built-in profiles: targets, source, date and status of each mirror."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from webhook.profiles.model import Profile, Status, build_rules

__all__ = ["PROFILES"]

# DaoCloud, in both forms of its names.
_DAOCLOUD_SOURCE: Final = "https://github.com/DaoCloud/public-image-mirror"
_DAOCLOUD_DATE: Final = "2026-08-21"
_DAOCLOUD_NOTE: Final = "Anybody may pull what is on its allowlist; the blobs of all else get 403."
_DAOCLOUD_CONDITIONS: Final = (
    "The allowlist is allows.txt in the source's repository.",
    "Rates are limited; large images are best pulled from 01:00 to 07:00 in Beijing.",
    "Manifests are cached for an hour, so that moving tags lag; digests are kept.",
)

# Registry → its host at DaoCloud; the prefix form takes each of these registries.
_DAOCLOUD_HOSTS: Final = {
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

_DAOCLOUD: Final = Profile(
    name="daocloud",
    title="DaoCloud public image mirror, whole name behind m.daocloud.io",
    source=_DAOCLOUD_SOURCE,
    date=_DAOCLOUD_DATE,
    status=Status.OPEN,
    note=_DAOCLOUD_NOTE,
    conditions=_DAOCLOUD_CONDITIONS,
    rules=build_rules("daocloud", {match: f"m.daocloud.io/{match}" for match in _DAOCLOUD_HOSTS}),
)

_DAOCLOUD_HOST: Final = Profile(
    name="daocloud-host",
    title="DaoCloud public image mirror, a host for each registry",
    source=_DAOCLOUD_SOURCE,
    date=_DAOCLOUD_DATE,
    status=Status.OPEN,
    note=_DAOCLOUD_NOTE,
    conditions=(
        "DaoCloud recommends the other form: profile daocloud.",
        *_DAOCLOUD_CONDITIONS,
    ),
    rules=build_rules("daocloud-host", _DAOCLOUD_HOSTS),
)

# Chinese universities whose mirrors are listed as working.
_UNIVERSITY_LIST: Final = "https://github.com/kubesre/docker-registry-mirrors"
_JUNE_CUTS: Final = "Access from outside the campus has been cut in early June of several years."

_NJU: Final = Profile(
    name="nju",
    title="Nanjing University, without Docker Hub",
    source=_UNIVERSITY_LIST,
    date="2026-11",
    status=Status.OPEN,
    note="A list of others names it as alive; its Docker Hub mirror is gone.",
    conditions=(_JUNE_CUTS,),
    rules=build_rules(
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

_SJTU: Final = Profile(
    name="sjtu",
    title="Shanghai Jiao Tong University, registry.k8s.io only",
    source=f"SJTUG news of 2024-02-16, and {_UNIVERSITY_LIST}",
    date="2026-11",
    status=Status.RESTRICTED,
    note="Only addresses in mainland China may pull; its Docker Hub mirror is gone.",
    conditions=(_JUNE_CUTS,),
    rules=build_rules(
        "sjtu",
        {
            "k8s.gcr.io": "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn",
            "registry.k8s.io": "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn",
        },
    ),
)

# Alibaba Cloud's flat copies of the Kubernetes images. The namespace is filled by hand, and
# others could publish under a name that is missing there (ustclug/mirrorhelp#158), so only
# the images that kubeadm pulls go there, each by its whole name.
_KUBEADM_REGISTRIES: Final = ("registry.k8s.io", "k8s.gcr.io")
_KUBEADM_IMAGES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "pause",
    "etcd",
    "coredns/coredns",
)
_ALIYUN_TARGETS: Final = (
    "registry.aliyuncs.com/google_containers",
    "registry.cn-hangzhou.aliyuncs.com/google_containers",
)

_ALIYUN_GOOGLE_CONTAINERS: Final = Profile(
    name="aliyun-google-containers",
    title="Alibaba Cloud, the images that kubeadm pulls",
    source="https://github.com/ustclug/mirrorhelp/issues/158",
    date="2026-11",
    status=Status.OPEN,
    note="Anybody may pull; it is filled by hand, and new versions may be missing.",
    conditions=(
        "It is no proxy: names are flat, so only these images are sent there.",
        "Compare digests with registry.k8s.io before trusting it.",
    ),
    rules=build_rules(
        "aliyun-google-containers",
        {
            f"{registry}/{image}": _ALIYUN_TARGETS
            for registry in _KUBEADM_REGISTRIES
            for image in _KUBEADM_IMAGES
        },
        flatten=True,
    ),
)

# Images that moved, and a public cache.
_K8S_GCR_IO: Final = Profile(
    name="k8s-gcr-io",
    title="The old registry of Kubernetes, k8s.gcr.io, to registry.k8s.io",
    source="https://kubernetes.io/blog/2023/03/10/image-registry-redirect/",
    date="2023-03-10",
    status=Status.OPEN,
    note="All its images are at registry.k8s.io; it has had no new ones since 2023-04-03.",
    rules=build_rules("k8s-gcr-io", {"k8s.gcr.io": "registry.k8s.io"}),
)

_MIRROR_GCR_IO: Final = Profile(
    name="mirror-gcr-io",
    title="Google's cache of Docker Hub, mirror.gcr.io",
    source="https://cloud.google.com/artifact-registry/docs/pull-cached-dockerhub-images",
    date="2026-11",
    status=Status.OPEN,
    note="Anybody may pull; pulls do not count against the limits of Docker Hub.",
    conditions=("Only public images that are asked for often are there; a pull of others fails.",),
    rules=build_rules("mirror-gcr-io", {"docker.io": "mirror.gcr.io"}),
)

_BITNAMI_LEGACY: Final = Profile(
    name="bitnami-legacy",
    title="Bitnami's versioned images, to docker.io/bitnamilegacy",
    source="https://github.com/bitnami/containers/issues/83267",
    date="2025-08-28",
    status=Status.FROZEN,
    note="Bitnami moved its images there when it closed its catalog; they get no updates.",
    conditions=("It buys time to move away: there are no security fixes.",),
    rules=build_rules("bitnami-legacy", {"docker.io/bitnami": "docker.io/bitnamilegacy"}),
)

# Widely used in China until they were restricted in 2020.
_AZURE_CHINA: Final = Profile(
    name="azure-china",
    title="Azure China's registry proxies (azk8s.cn)",
    source="https://github.com/Azure/container-service-for-azure-china (aks/README.md)",
    date="2026-01",
    status=Status.RESTRICTED,
    note="Since 2020-04-02 only addresses of Azure China may pull; all others get 403.",
    conditions=(
        "No service level is promised.",
        "Guides of 2019 use gcr.azk8s.cn/google-containers instead: profile azure-china-2019.",
        "A registry that answers 200 on /v2/ proves nothing here: the pull gets the 403.",
    ),
    rules=build_rules(
        "azure-china",
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

# In 2019 there was no proxy for k8s.gcr.io yet, which was a redirect to gcr.io/google-containers.
_AZURE_CHINA_2019: Final = Profile(
    name="azure-china-2019",
    title="Azure China's registry proxies, as guides of 2019 have them",
    source="https://github.com/Azure/container-service-for-azure-china (aks/README.md of 2019)",
    date="2019-11-13",
    status=Status.RESTRICTED,
    note="Since 2020-04-02 only addresses of Azure China may pull; all others get 403.",
    conditions=(
        "The proxies that today's README lists are in the profile azure-china.",
        "Only images that were in gcr.io/google-containers are there.",
    ),
    rules=build_rules(
        "azure-china-2019",
        {
            "docker.io": "dockerhub.azk8s.cn",
            "gcr.io": "gcr.azk8s.cn",
            "k8s.gcr.io": "gcr.azk8s.cn/google-containers",
            "quay.io": "quay.azk8s.cn",
        },
    ),
)

_USTC: Final = Profile(
    name="ustc",
    title="University of Science and Technology of China",
    source="https://github.com/ustclug/mirrorhelp (docs/dockerhub.md)",
    date="2024-08-12",
    status=Status.CLOSED,
    note="All container caches are closed: Docker Hub since 2024-06-06, gcr.io and quay.io "
    "since 2024-08-12.",
    conditions=("It is kept here so that rules and guides that name it can be understood.",),
    rules=build_rules(
        "ustc",
        {
            "docker.io": "docker.mirrors.ustc.edu.cn",
            "gcr.io": "gcr.mirrors.ustc.edu.cn",
            "k8s.gcr.io": "gcr.mirrors.ustc.edu.cn/google-containers",
            "quay.io": "quay.mirrors.ustc.edu.cn",
        },
    ),
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            _DAOCLOUD,
            _DAOCLOUD_HOST,
            _NJU,
            _SJTU,
            _ALIYUN_GOOGLE_CONTAINERS,
            _K8S_GCR_IO,
            _MIRROR_GCR_IO,
            _BITNAMI_LEGACY,
            _AZURE_CHINA,
            _AZURE_CHINA_2019,
            _USTC,
        )
    }
)
