"""Functions that keep `xid` and `updated_at` of a row true, whatever the writer says."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION set_xid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xid := pg_current_xact_id();
    RETURN NEW;
END $$;

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION set_updated_at();
DROP FUNCTION set_xid();
"""


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Undo it, data included."""
    op.execute(DOWNGRADE)
