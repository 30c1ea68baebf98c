"""Where images are in Kubernetes objects, and the patches that change them: pure."""

from webhook.objects.annotations import (
    MIRROR_POD,
    OPT_OUT,
    ORIGINAL_IMAGES,
    find_stale_originals,
    has_room_for_originals,
    has_same_ending,
    is_original,
    opt_out_reason,
    parse_originals,
    record_originals,
)
from webhook.objects.images import (
    EPHEMERAL_CONTAINERS,
    VOLUMES,
    ImageDecision,
    ImageField,
    decide_images,
    find_images,
)
from webhook.objects.patch import (
    Operation,
    add_pull_secrets,
    explain_missing_secrets,
    replace_images,
)
from webhook.objects.pod import (
    POD_SPEC_PATHS,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    read_pod,
)

__all__ = [
    "EPHEMERAL_CONTAINERS",
    "MIRROR_POD",
    "OPT_OUT",
    "ORIGINAL_IMAGES",
    "POD_SPEC_PATHS",
    "VOLUMES",
    "ImageDecision",
    "ImageField",
    "ObjectMeta",
    "Operation",
    "OwnerReference",
    "Pod",
    "PodSpec",
    "add_pull_secrets",
    "decide_images",
    "explain_missing_secrets",
    "find_images",
    "find_stale_originals",
    "has_room_for_originals",
    "has_same_ending",
    "is_original",
    "opt_out_reason",
    "parse_originals",
    "read_pod",
    "record_originals",
    "replace_images",
]
