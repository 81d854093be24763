"""The first schema: models, versions, aliases, lineage, pushes and tokens.

Revision: 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
DIGEST = sa.String(71)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_models()
    _create_versions()
    _create_aliases()
    _create_lineage()
    _create_pushes()
    _create_tokens()


def downgrade() -> None:
    for table in (
        "tokens",
        "pushes",
        "version_blobs",
        "edges",
        "alias_moves",
        "wanted_aliases",
        "aliases",
        "versions",
        "models",
        "numbers",
    ):
        op.drop_table(table)


def _create_models() -> None:
    op.create_table(
        "numbers",
        sa.Column("model", NAME, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_numbers")),
    )
    op.create_table(
        "models",
        sa.Column("name", NAME, nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_owner"), "models", ["owner"], unique=False)


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("content_digest", DIGEST, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("interface", sa.Integer(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("yanked_reason", sa.Text(), nullable=False),
        sa.Column("golden_digest", DIGEST, nullable=True),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name=op.f("fk_versions_model_models"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model", "number", name=op.f("pk_versions")),
    )
    op.create_index(op.f("ix_versions_digest"), "versions", ["digest"], unique=False)
    op.create_index(op.f("ix_versions_model_content_digest"), "versions", ["model", "content_digest"], unique=False)
    op.create_index(op.f("ix_versions_state"), "versions", ["state"], unique=False)


def _create_aliases() -> None:
    op.create_table(
        "aliases",
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["versions.model", "versions.number"],
            name=op.f("fk_aliases_model_number_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "alias", name=op.f("pk_aliases")),
    )
    op.create_index(op.f("ix_aliases_model_number"), "aliases", ["model", "number"], unique=False)
    op.create_table(
        "wanted_aliases",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["versions.model", "versions.number"],
            name=op.f("fk_wanted_aliases_model_number_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "number", "alias", name=op.f("pk_wanted_aliases")),
    )
    op.create_table(
        "alias_moves",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"], ["models.name"], name=op.f("fk_alias_moves_model_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_moves")),
    )
    op.create_index(op.f("ix_alias_moves_model_alias"), "alias_moves", ["model", "alias"], unique=False)


def _create_lineage() -> None:
    op.create_table(
        "edges",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("parent_model", NAME, nullable=False),
        sa.Column("parent_number", sa.Integer(), nullable=False),
        sa.Column("parent_digest", DIGEST, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["versions.model", "versions.number"],
            name=op.f("fk_edges_model_number_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "number", "position", name=op.f("pk_edges")),
    )
    op.create_index(op.f("ix_edges_parent_digest"), "edges", ["parent_digest"], unique=False)
    op.create_table(
        "version_blobs",
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["versions.model", "versions.number"],
            name=op.f("fk_version_blobs_model_number_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "number", "digest", name=op.f("pk_version_blobs")),
    )
    op.create_index(op.f("ix_version_blobs_digest"), "version_blobs", ["digest"], unique=False)


def _create_pushes() -> None:
    op.create_table(
        "pushes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("alias", NAME, nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=True),
        sa.Column("is_private", sa.Boolean(), nullable=True),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("completed_number", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushes")),
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_tokens_secret_sha256")),
    )
