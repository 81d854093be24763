"""Runs the revisions over the connection that `hub.storage.catalog.migrate` has opened and locked.

All revisions of one run share its transaction, so a run that dies leaves the schema as it was.
"""

from alembic import context

from hub.storage.catalog.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
