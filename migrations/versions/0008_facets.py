"""What lists of models are narrowed by: filled from the cards and the newest ready versions that are there.

Revision: 0008.
"""

from contextlib import suppress

import sqlalchemy as sa
from alembic import op

from hub.domain.errors import InvalidModel
from hub.domain.facets import Values, facets_of_card, facets_of_inputs
from hub.domain.manifest import Manifest
from hub.domain.signatures import compose

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
STEP = 500


def upgrade() -> None:
    facets = op.create_table(
        "facets",
        sa.Column("model", NAME, nullable=False),
        sa.Column("facet", sa.String(length=16), nullable=False),
        sa.Column("value", NAME, nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name=op.f("fk_facets_model_models"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model", "facet", "value", name=op.f("pk_facets")),
    )
    op.create_index(op.f("ix_facets_facet_value_model"), "facets", ["facet", "value", "model"])
    op.create_index(op.f("ix_models_updated_at_name"), "models", ["updated_at", "name"])
    op.create_index(op.f("ix_edges_parent_model"), "edges", ["parent_model"])
    _fill(facets)


def downgrade() -> None:
    op.drop_index(op.f("ix_edges_parent_model"), "edges")
    op.drop_index(op.f("ix_models_updated_at_name"), "models")
    op.drop_table("facets")


def _fill(facets: sa.Table) -> None:
    connection = op.get_bind()
    models = sa.table("models", sa.column("name"), sa.column("card"))
    names = list(connection.execute(sa.select(models.c.name).order_by(models.c.name)).scalars())
    rows: list[dict[str, str]] = []
    for name in names:
        card = connection.execute(sa.select(models.c.card).where(models.c.name == name)).scalar_one()
        values = facets_of_card(card) + _of_inputs(connection, name)
        rows += [{"model": name, "facet": facet.value, "value": value} for facet, value in values]
    for start in range(0, len(rows), STEP):
        connection.execute(facets.insert(), rows[start : start + STEP])


def _of_inputs(connection: sa.Connection, name: str) -> Values:
    """What the newest ready version takes; a head takes what its trunk does."""
    versions = sa.table("versions", *(sa.column(each) for each in ("model", "number", "state", "digest", "manifest")))
    newest = versions.select().where(versions.c.model == name, versions.c.state == "ready")
    row = connection.execute(newest.order_by(versions.c.number.desc()).limit(1)).first()
    if row is None:
        return []
    manifest = Manifest.parse(row.manifest)
    signatures, edge = manifest.signatures, manifest.trunk
    trunk = (
        connection.execute(versions.select().where(versions.c.digest == edge.digest).limit(1)).first() if edge else None
    )
    if edge is not None and trunk is not None:
        with suppress(KeyError, InvalidModel):
            signatures = compose(Manifest.parse(trunk.manifest).signatures[edge.signature], signatures)
    return facets_of_inputs(signatures.values())
