"""How many requests a second a key may send."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute("ALTER TABLE api_keys ADD COLUMN requests_per_second integer DEFAULT 1000 NOT NULL")
    op.execute("ALTER TABLE api_keys ADD CONSTRAINT api_keys_requests_per_second_check CHECK (requests_per_second > 0)")


def downgrade() -> None:
    """Undo it."""
    op.execute("ALTER TABLE api_keys DROP COLUMN requests_per_second")
