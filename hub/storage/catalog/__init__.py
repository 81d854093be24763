"""Facts: models, versions, aliases, lineage, pushes, tokens, people and the audit in a relational database."""

from hub.storage.catalog.blobs import Announced
from hub.storage.catalog.catalog import Catalog
from hub.storage.catalog.inspecting import StoredBlob, StoredVersion
from hub.storage.catalog.people import Account, user_not_found
from hub.storage.catalog.pushes import push_not_found
from hub.storage.catalog.quotas import QuotaRecord
from hub.storage.catalog.records import AliasMove, PushRecord, VersionRecord
from hub.storage.catalog.sessions import Session
from hub.storage.catalog.transaction import Transaction

__all__ = [
    "Account",
    "AliasMove",
    "Announced",
    "Catalog",
    "PushRecord",
    "QuotaRecord",
    "Session",
    "StoredBlob",
    "StoredVersion",
    "Transaction",
    "VersionRecord",
    "push_not_found",
    "user_not_found",
]
