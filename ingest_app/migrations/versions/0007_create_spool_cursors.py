"""How far each spool is drained, written in the transaction that writes its rows."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE spool_cursors (
    spool_name text NOT NULL,
    drained_seq bigint DEFAULT 0 NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT spool_cursors_pkey PRIMARY KEY (spool_name)
);
"""


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Undo it. Only with every spool drained: without its cursor a spool is read from its beginning again."""
    op.execute("DROP TABLE spool_cursors")
