"""Where images sit in Kubernetes objects, and the patches that change them: pure."""

from webhook.objects.exemption import MIRROR_POD, OPT_OUT, exempt
from webhook.objects.loose import pod_from
from webhook.objects.patch import (
    ORIGINAL_IMAGES,
    Operation,
    has_room_for_record,
    image_operations,
    record_operation,
    secret_operations,
)
from webhook.objects.pod import (
    POD_SPEC_PATHS,
    Container,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    Volume,
)
from webhook.objects.rewrite import Placement, rewrite
from webhook.objects.slots import (
    CONTAINER_FIELDS,
    EPHEMERAL_CONTAINERS,
    VOLUMES,
    ImageSlot,
    image_slots,
)

__all__ = [
    "CONTAINER_FIELDS",
    "EPHEMERAL_CONTAINERS",
    "MIRROR_POD",
    "OPT_OUT",
    "ORIGINAL_IMAGES",
    "POD_SPEC_PATHS",
    "VOLUMES",
    "Container",
    "ImageSlot",
    "ObjectMeta",
    "Operation",
    "OwnerReference",
    "Placement",
    "Pod",
    "PodSpec",
    "Volume",
    "exempt",
    "has_room_for_record",
    "image_operations",
    "image_slots",
    "pod_from",
    "record_operation",
    "rewrite",
    "secret_operations",
]
