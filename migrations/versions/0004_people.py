"""Users, organisations and their members; whose a token is and what it is limited to; sessions of the dashboard.

Tokens that are there stay what they were: the hub's own, good for every owner. So do models whose owner is nobody. The
pushes under way are forgotten, because they are known by a token's name, which is not unique: who was pushing begins
again, and what is stored is not sent again.

Revision: 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _forget_pushes()
    with op.batch_alter_table("push_blobs") as table:
        table.add_column(sa.Column("is_sent", sa.Boolean(), nullable=False))
    _create_people()
    with op.batch_alter_table("tokens") as table:
        table.add_column(sa.Column("user", NAME))
        table.add_column(sa.Column("limited_to", NAME))
        table.create_foreign_key(op.f("fk_tokens_user_users"), "users", ["user"], ["name"])
        table.create_index(op.f("ix_tokens_user"), ["user"])
    op.create_table(
        "sessions",
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("user", NAME),
        sa.Column("token_id", sa.String(length=64)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_sessions_user_users")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_sessions_token_id_tokens")),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user"), "sessions", ["user"])
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])


def downgrade() -> None:
    """Tokens of users and limited ones go: the schema before would take them for the hub's own, good for everything."""
    op.drop_table("sessions")
    op.execute('DELETE FROM tokens WHERE "user" IS NOT NULL OR limited_to IS NOT NULL')
    with op.batch_alter_table("tokens") as table:
        table.drop_index(op.f("ix_tokens_user"))
        table.drop_constraint(op.f("fk_tokens_user_users"), type_="foreignkey")
        table.drop_column("limited_to")
        table.drop_column("user")
    for name in ("members", "users", "owners"):
        op.drop_table(name)
    _forget_pushes()
    with op.batch_alter_table("push_blobs") as table:
        table.drop_column("is_sent")


def _forget_pushes() -> None:
    op.execute("DELETE FROM push_blobs")
    op.execute("DELETE FROM pushes")


def _create_people() -> None:
    op.create_table(
        "owners",
        sa.Column("name", NAME, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_owners")),
    )
    op.create_table(
        "users",
        sa.Column("name", NAME, nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("email", TEXT),
        sa.Column("password_hash", sa.Text()),
        sa.Column("issuer", TEXT),
        sa.Column("subject", TEXT),
        sa.Column("disabled_at", MOMENT),
        sa.ForeignKeyConstraint(["name"], ["owners.name"], name=op.f("fk_users_name_owners")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_users_issuer_subject")),
    )
    op.create_table(
        "members",
        sa.Column("organisation", NAME, nullable=False),
        sa.Column("user", NAME, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["organisation"], ["owners.name"], name=op.f("fk_members_organisation_owners")),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_members_user_users")),
        sa.PrimaryKeyConstraint("organisation", "user", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user"), "members", ["user"])
