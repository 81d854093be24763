"""Queries about pushes that were begun."""

from uuid import UUID

from sqlalchemy import delete, select, update

from hub.domain.errors import PushNotFound
from hub.domain.names import ModelName, Reference
from hub.storage.catalog.queries import AnyRow, Queries
from hub.storage.catalog.records import PushRecord
from hub.storage.catalog.tables import push_blobs, pushes


class PushQueries(Queries):
    """Pushes, from their beginning until they are forgotten."""

    def add_push(self, push: PushRecord) -> bool:
        """Remember a push that begins; False where its id is taken."""
        row = {"id": push.id, "model": str(push.model), "content_digest": push.draft.content_digest()}
        row |= {"draft": push.draft, "alias": push.alias, "card": push.card, "message": push.message}
        row |= {"is_private": push.is_private, "principal": push.principal, "attestation": push.attestation}
        number = push.completed.number if push.completed else None
        return self.insert_if_absent(pushes, row | {"created_at": push.created_at, "completed_number": number})

    def push(self, push_id: UUID) -> PushRecord:
        """One push; a transaction that writes holds it until it ends, so a push is completed once.

        Raises:
            PushNotFound: No such push.
        """
        query = select(pushes).where(pushes.c.id == push_id)
        row = self.connection.execute(query.with_for_update() if self.is_writing else query).one_or_none()
        if row is None:
            raise push_not_found(push_id)
        return _push(row)

    def resume_push(self, push: PushRecord) -> UUID | None:
        """Go on with a push of the same content to the same model by the same principal that was never completed.

        It takes over what else ``push`` asks for: alias, message, card, privacy and attestation.

        Returns:
            Its id; None where there is none.
        """
        same = pushes.c.model == str(push.model), pushes.c.content_digest == push.draft.content_digest()
        mine = pushes.c.principal == push.principal, pushes.c.completed_number.is_(None)
        query = select(pushes.c.id).where(*same, *mine).order_by(pushes.c.created_at.desc()).limit(1).with_for_update()
        found = self.connection.execute(query).scalar_one_or_none()
        if found is not None:
            # The draft too: another client may cut the same files into other blobs.
            asked = {"draft": push.draft, "alias": push.alias, "message": push.message, "card": push.card}
            asked |= {"is_private": push.is_private, "created_at": push.created_at, "attestation": push.attestation}
            self.connection.execute(update(pushes).where(pushes.c.id == found).values(**asked))
        return found

    def complete_push(self, push_id: UUID, number: int) -> None:
        """Remember the version that a push became, and end its leases.

        Raises:
            PushNotFound: No such push.
        """
        statement = update(pushes).where(pushes.c.id == push_id).values(completed_number=number)
        if not self.connection.execute(statement).rowcount:
            raise push_not_found(push_id)
        self.connection.execute(delete(push_blobs).where(push_blobs.c.push_id == push_id))

    def keeps_interface(self, name: ModelName, number: int) -> bool:
        """Whether a push that became this version made it a condition that no caller breaks."""
        query = select(pushes.c.draft).where(pushes.c.model == str(name), pushes.c.completed_number == number)
        return any(row.draft.keeps_interface for row in self.connection.execute(query))


def push_not_found(push_id: UUID) -> PushNotFound:
    """The error for a push that is not there, or not the caller's."""
    return PushNotFound(f"There is no push {push_id}.", remedy="Begin a new one: what is stored is not sent again.")


def _push(row: AnyRow) -> PushRecord:
    model = ModelName.parse(row.model)
    return PushRecord(
        id=row.id,
        model=model,
        draft=row.draft,
        alias=row.alias,
        message=row.message,
        card=row.card,
        is_private=row.is_private,
        principal=row.principal,
        created_at=row.created_at,
        completed=Reference(model, number=row.completed_number) if row.completed_number is not None else None,
        attestation=row.attestation,
    )
