"""Who stands for a version: keys of owners, and what was signed with them.

Bundles lie in rows of their own, a few kilobytes each, and go with their version; no sweep has to know of them. A push
under way keeps its attestation until it becomes a version.

Revision: 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("pushes", sa.Column("attestation", sa.Text()))
    op.create_table(
        "keys",
        sa.Column("owner", NAME, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("owner", "fingerprint", name=op.f("pk_keys")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_keys_owner_name")),
    )
    op.create_table(
        "signing_owners",
        sa.Column("owner", NAME, nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_signing_owners")),
    )
    op.create_table(
        "attestations",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "number", "fingerprint", name=op.f("pk_attestations")),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["versions.model", "versions.number"],
            name=op.f("fk_attestations_model_number_versions"),
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("attestations")
    op.drop_table("signing_owners")
    op.drop_table("keys")
    op.drop_column("pushes", "attestation")
