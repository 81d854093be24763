"""Which bytes there are, and which of them a push under way needs; the newest ready version by an index.

The pushes under way are forgotten: who was pushing begins again, and what is stored is not sent again.

Revision: 0002.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
DIGEST = sa.String(71)
MOMENT = sa.DateTime(timezone=True)
STEP = 200


def upgrade() -> None:
    op.execute("DELETE FROM pushes")
    with op.batch_alter_table("pushes") as table:
        table.add_column(sa.Column("content_digest", DIGEST, nullable=False))
        table.create_index(op.f("ix_pushes_model_content_digest"), ["model", "content_digest"])
    op.create_table(
        "push_blobs",
        sa.Column("push_id", sa.Uuid(), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["push_id"], ["pushes.id"], name=op.f("fk_push_blobs_push_id_pushes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("push_id", "digest", name=op.f("pk_push_blobs")),
    )
    op.create_index(op.f("ix_push_blobs_digest"), "push_blobs", ["digest"])
    blobs = op.create_table(
        "blobs",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("referenced_at", MOMENT, nullable=False),
        sa.Column("condemned_at", MOMENT),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_index(op.f("ix_blobs_state_digest"), "blobs", ["state", "digest"])
    _list_what_versions_have(blobs)
    op.drop_index(op.f("ix_versions_state"), "versions")
    op.create_index(op.f("ix_versions_model_state_number"), "versions", ["model", "state", "number"])
    unfinished = sa.text("state = 'validating'")
    op.create_index(
        "ix_versions_validating", "versions", ["state"], sqlite_where=unfinished, postgresql_where=unfinished
    )


def downgrade() -> None:
    op.drop_index("ix_versions_validating", "versions")
    op.drop_index(op.f("ix_versions_model_state_number"), "versions")
    op.create_index(op.f("ix_versions_state"), "versions", ["state"])
    op.drop_table("blobs")
    op.drop_table("push_blobs")
    op.execute("DELETE FROM pushes")
    with op.batch_alter_table("pushes") as table:
        table.drop_index(op.f("ix_pushes_model_content_digest"))
        table.drop_column("content_digest")


def _list_what_versions_have(blobs: sa.Table) -> None:
    connection = op.get_bind()
    digests = sa.select(sa.column("digest", DIGEST)).select_from(sa.table("version_blobs")).distinct()
    at = datetime.now(UTC)
    found = {digest for (digest,) in connection.execute(digests)}
    rows = [{"digest": digest, "state": "stored", "referenced_at": at} for digest in sorted(found)]
    for start in range(0, len(rows), STEP):
        connection.execute(blobs.insert(), rows[start : start + STEP])
    sized = blobs.update().where(blobs.c.digest == sa.bindparam("named")).values(size=sa.bindparam("known"))
    for sizes in _sizes(connection):
        connection.execute(sized, [{"named": digest, "known": size} for digest, size in sizes.items()])


def _sizes(connection: Any) -> Iterator[dict[str, int]]:
    """Sizes of blobs, as manifests tell them."""
    versions = sa.table("versions", sa.column("digest", DIGEST), sa.column("manifest", sa.LargeBinary))
    for digest, manifest in connection.execute(sa.select(versions.c.digest, versions.c.manifest)).fetchall():
        files = json.loads(manifest)["files"]
        yield {digest: len(manifest)} | {blob["digest"]: blob["size"] for file in files for blob in file["blobs"]}
