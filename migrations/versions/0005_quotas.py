"""How much owners may keep, and what each of them keeps; whose a blob is, by an index.

Revision: 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner", NAME, nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_quotas")),
    )
    op.create_index(op.f("ix_version_blobs_digest_model"), "version_blobs", ["digest", "model"])
    op.drop_index(op.f("ix_version_blobs_digest"), "version_blobs")


def downgrade() -> None:
    op.create_index(op.f("ix_version_blobs_digest"), "version_blobs", ["digest"])
    op.drop_index(op.f("ix_version_blobs_digest_model"), "version_blobs")
    op.drop_table("quotas")
