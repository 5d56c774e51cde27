"""Find rejected records by their event: ids of events stay as long as a rejected record names them."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute("CREATE INDEX rejected_records_event_id_idx ON rejected_records (event_id)")


def downgrade() -> None:
    """Undo it."""
    op.execute("DROP INDEX rejected_records_event_id_idx")
