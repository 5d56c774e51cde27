"""How often an event's id came again, and when last, so that a retry can be told when somebody looks for it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE event_ids
    ADD COLUMN repeat_count integer DEFAULT 0 NOT NULL,
    ADD COLUMN repeated_at timestamptz
"""


def upgrade() -> None:
    """Apply the change; a column with a constant default is added without a rewrite."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Undo it, data included."""
    op.execute("ALTER TABLE event_ids DROP COLUMN repeat_count, DROP COLUMN repeated_at")
