"""Copying images from registry to registry, or by way of an archive."""

from webhook.transfer.archive import Archive, InvalidArchiveError
from webhook.transfer.archived import ArchivedImage
from webhook.transfer.client import Client
from webhook.transfer.copier import Copied, Watcher
from webhook.transfer.fleet import Fleet, Listener, Result, Status
from webhook.transfer.orders import Order, distinct, order_for
from webhook.transfer.patience import Patience
from webhook.transfer.rehearsal import Rehearsal
from webhook.transfer.repository import Repository
from webhook.transfer.session import Session
from webhook.transfer.store import Arrival, Store

__all__ = [
    "Archive",
    "ArchivedImage",
    "Arrival",
    "Client",
    "Copied",
    "Fleet",
    "InvalidArchiveError",
    "Listener",
    "Order",
    "Patience",
    "Rehearsal",
    "Repository",
    "Result",
    "Session",
    "Status",
    "Store",
    "Watcher",
    "distinct",
    "order_for",
]
