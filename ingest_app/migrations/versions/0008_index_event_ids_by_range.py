"""Find old event ids by a BRIN index: ids come in the order of their time, and a b-tree costs every event an entry."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute("DROP INDEX event_ids_received_at_idx")
    op.execute("CREATE INDEX event_ids_received_at_idx ON event_ids USING brin (received_at)")


def downgrade() -> None:
    """Undo it."""
    op.execute("DROP INDEX event_ids_received_at_idx")
    op.execute("CREATE INDEX event_ids_received_at_idx ON event_ids (received_at)")
