"""The tables. Names are the keys: a model's is its ``owner/name``, a version's is that and its number.

``numbers`` outlives models: the numbers of a deleted model are not given out again when its name is taken anew.
``wanted_aliases`` are those that move once their version is ready. ``version_blobs`` says which bytes belong to a
version: its files', its manifest, its golden samples; ``push_blobs`` which bytes a push under way needs, so that no
sweep takes them. ``blobs`` says which bytes there are: the store is asked only where this table says nothing.
``summaries`` says of a version that it has ``curves``, whose rows are in the order in which they are listed.
``quotas`` has what an owner may keep and the sum of what it keeps, see `hub.storage.catalog.quotas`.
``facets`` are what lists of models are narrowed by: a model's card and its newest ready version say them.
``owners`` are users and organisations, of one space of names; a model's owner need not be there. ``push_blobs.is_sent``
are those whose bytes the pusher has shown to have.
``audit`` is only added to and outlives what it names; triggers hold that, see migration 0003. Only what is old leaves.
``migrations/`` leads here step by step; a test holds the two equal.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from hub.domain.audit import Result
from hub.domain.curves import Curve, SummariesFacts
from hub.domain.manifest import Draft
from hub.domain.reports import Report
from hub.domain.versions import State
from hub.storage.catalog.columns import DigestText, Document, Facts, Name, Plain, RowId, UtcTime

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_version() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"], ondelete="CASCADE")


numbers = Table(
    "numbers",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("last", Integer, nullable=False),
)

models = Table(
    "models",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("owner", Name, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("is_private", Boolean, nullable=False),
    Column("card", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "updated_at", "name"),
)

facets = Table(
    "facets",
    METADATA,
    Column("model", Name, ForeignKey("models.name", ondelete="CASCADE"), primary_key=True),
    Column("facet", String(16), primary_key=True),
    Column("value", Name, primary_key=True),
    Index(None, "facet", "value", "model"),
)

versions = Table(
    "versions",
    METADATA,
    Column("model", Name, ForeignKey("models.name", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", DigestText, nullable=False, index=True),
    Column("content_digest", DigestText, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("interface", Integer),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("yanked_reason", Text, nullable=False),
    Column("golden_digest", DigestText),
    Column("manifest", LargeBinary, nullable=False),
    Column("report", Document(Report), nullable=False),
    Index(None, "model", "content_digest"),
    Index(None, "model", "state", "number"),
)
# Of the many versions of all models, only those that are not finished are ever looked for by their state alone.
_IS_VALIDATING = versions.c.state == State.VALIDATING.value
Index("ix_versions_validating", versions.c.state, sqlite_where=_IS_VALIDATING, postgresql_where=_IS_VALIDATING)

aliases = Table(
    "aliases",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("alias", Name, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    _of_version(),
    Index(None, "model", "number"),
)

wanted_aliases = Table(
    "wanted_aliases",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("alias", Name, primary_key=True),
    Column("decided_at", UtcTime, nullable=False),
    Column("decided_by", Text, nullable=False),
    _of_version(),
)

alias_moves = Table(
    "alias_moves",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("model", Name, ForeignKey("models.name", ondelete="CASCADE"), nullable=False),
    Column("alias", Name, nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("moved_at", UtcTime, nullable=False),
    Column("moved_by", Text, nullable=False),
    Index(None, "model", "alias"),
)

edges = Table(
    "edges",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("parent_model", Name, nullable=False, index=True),
    Column("parent_number", Integer, nullable=False),
    Column("parent_digest", DigestText, nullable=False, index=True),
    Column("signature", Text, nullable=False),
    _of_version(),
)

version_blobs = Table(
    "version_blobs",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", DigestText, primary_key=True),
    _of_version(),
    Index(None, "digest", "model"),
)

blobs = Table(
    "blobs",
    METADATA,
    Column("digest", DigestText, primary_key=True),
    Column("size", BigInteger),
    Column("state", String(16), nullable=False),
    Column("referenced_at", UtcTime, nullable=False),
    Column("condemned_at", UtcTime),
    # With the digest in it: SQLite would look through all stored blobs for a few by an index on the state alone.
    Index(None, "state", "digest"),
)

pushes = Table(
    "pushes",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("model", Name, nullable=False),
    Column("content_digest", DigestText, nullable=False),
    Column("draft", Document(Draft), nullable=False),
    Column("alias", Name),
    Column("message", Text, nullable=False),
    Column("card", Text),
    Column("is_private", Boolean),
    Column("principal", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("completed_number", Integer),
    Column("attestation", Text),
    Index(None, "model", "content_digest"),
)

push_blobs = Table(
    "push_blobs",
    METADATA,
    Column("push_id", Uuid, ForeignKey("pushes.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", DigestText, primary_key=True, index=True),
    Column("size", BigInteger, nullable=False),
    Column("is_sent", Boolean, nullable=False),
)

owners = Table(
    "owners",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

users = Table(
    "users",
    METADATA,
    Column("name", Name, ForeignKey("owners.name"), primary_key=True),
    Column("is_admin", Boolean, nullable=False),
    Column("email", Plain, unique=True),
    Column("password_hash", Text),
    Column("issuer", Plain),
    Column("subject", Plain),
    Column("disabled_at", UtcTime),
    UniqueConstraint("issuer", "subject"),
)

members = Table(
    "members",
    METADATA,
    Column("organisation", Name, ForeignKey("owners.name"), primary_key=True),
    Column("user", Name, ForeignKey("users.name"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    Column("since", UtcTime, nullable=False),
)

summaries = Table(
    "summaries",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("facts", Document(SummariesFacts), nullable=False),
    _of_version(),
)

curves = Table(
    "curves",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("tag", Plain, nullable=False),
    Column("curve", Document(Curve), nullable=False),
    Column("points", LargeBinary, nullable=False),
    _of_version(),
    Index(None, "model", "number", "tag", "position"),
)

pulls = Table(
    "pulls",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("times", BigInteger, nullable=False),
    _of_version(),
    Index(None, "day"),
)

quotas = Table(
    "quotas",
    METADATA,
    Column("owner", Name, primary_key=True),
    Column("limit_bytes", BigInteger, nullable=False),
    Column("used_bytes", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("user", Name, ForeignKey("users.name"), index=True),
    Column("limited_to", Name),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("secret_sha256", String(64), primary_key=True),
    Column("user", Name, ForeignKey("users.name"), index=True),
    Column("token_id", String(64), ForeignKey("tokens.id")),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
)

audit = Table(
    "audit",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("action", String(32), nullable=False),
    Column("actor", Plain, nullable=False),
    Column("token_id", String(64)),
    Column("address", Text),
    Column("object", Plain, nullable=False),
    Column("result", String(16), nullable=False),
    Column("request_id", Text),
    Column("facts", Facts, nullable=False),
    Index(None, "actor", "id"),
    Index(None, "object", "id"),
)
# Before a denial is written down, those that were lately are counted.
_IS_DENIED = audit.c.result == Result.DENIED.value
Index("ix_audit_denied", audit.c.actor, audit.c.at, sqlite_where=_IS_DENIED, postgresql_where=_IS_DENIED)

keys = Table(
    "keys",
    METADATA,
    Column("owner", Name, primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("pem", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    UniqueConstraint("owner", "name"),
)

# Owners that take signed pushes only.
signing_owners = Table("signing_owners", METADATA, Column("owner", Name, primary_key=True))

attestations = Table(
    "attestations",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), primary_key=True),
    Column("bundle", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    _of_version(),
)
