"""The replicas of the webhook: what one tells the others, and what is known of all."""

from webhook.server.replicas.finding import ServiceEndpoints
from webhook.server.replicas.neighbours import Neighbours
from webhook.server.replicas.values import (
    Difference,
    Presence,
    ReplicaRow,
    Replicas,
    ReplicaState,
    RulesInReplica,
)

__all__ = [
    "Difference",
    "Neighbours",
    "Presence",
    "ReplicaRow",
    "ReplicaState",
    "Replicas",
    "RulesInReplica",
    "ServiceEndpoints",
]
