"""`make_event_partitions(days_ahead)`: a partition a day and event table, today's to the last day ahead."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE FUNCTION make_event_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    first_at timestamp;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_event_partitions'));
    FOREACH parent IN ARRAY ARRAY['activity_events', 'tracking_events', 'tracking_documents'] LOOP
        -- from yesterday: the clocks of two servers may stand on either side of midnight
        FOR n IN -1..days_ahead LOOP
            first_at := date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + n * interval '1 day';
            child := parent || '_p' || to_char(first_at, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(child) IS NOT NULL;
            -- make it apart and attach: CREATE ... PARTITION OF would lock the parent against every reader
            EXECUTE format(
                'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', child, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, child,
                to_char(first_at, 'YYYY-MM-DD 00:00:00+00'),
                to_char(first_at + interval '1 day', 'YYYY-MM-DD 00:00:00+00'));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

SELECT make_event_partitions(14);
"""

DOWNGRADE = """
DROP FUNCTION make_event_partitions(integer);
"""


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Undo it, data included."""
    op.execute(DOWNGRADE)
