"""Curves of training jobs, beside the versions they belong to.

Revision: 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "summaries",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        _of_version("summaries"),
        sa.PrimaryKeyConstraint("model", "number", name=op.f("pk_summaries")),
    )
    op.create_table(
        "curves",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("curve", sa.Text(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        _of_version("curves"),
        sa.PrimaryKeyConstraint("model", "number", "position", name=op.f("pk_curves")),
    )
    op.create_index(op.f("ix_curves_model_number_tag_position"), "curves", ["model", "number", "tag", "position"])


def downgrade() -> None:
    op.drop_table("curves")
    op.drop_table("summaries")


def _of_version(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["model", "number"],
        ["versions.model", "versions.number"],
        name=op.f(f"fk_{table}_model_number_versions"),
        ondelete="CASCADE",
    )
