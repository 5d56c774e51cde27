-- Queries on meta.touched: which quarter hours have rows that no passed build has seen. {…} are names of our own.

-- touch_table --
INSERT INTO meta.touched
SELECT ?::VARCHAR, NULL::TIMESTAMPTZ
EXCEPT
FROM meta.touched

-- touch_new_rows --
-- When did the rows happen that an earlier snapshot did not see? The first condition lets whole row groups be skipped.
INSERT INTO meta.touched
SELECT $table_name::VARCHAR, time_bucket(INTERVAL '15 minutes', created_at)
FROM raw.{table}
WHERE xid >= {first} AND (xid >= $xmax OR list_contains($late::UBIGINT[], xid))
EXCEPT
FROM meta.touched

-- touch_days --
-- The first and the last quarter hour of a day (UTC) lie in all days of any other time zone that share an hour with it.
INSERT INTO meta.touched
SELECT table_name, ends_of_day.quarter_hour AT TIME ZONE 'UTC'
FROM
    unnest(?::VARCHAR[]) AS tables (table_name),
    generate_series(?::TIMESTAMP, ?::TIMESTAMP, INTERVAL '1 day') AS days (midnight),
    unnest([midnight, midnight + INTERVAL '23 hours 45 minutes']) AS ends_of_day (quarter_hour)
EXCEPT
FROM meta.touched

-- touched_tables --
SELECT DISTINCT table_name FROM meta.touched ORDER BY table_name

-- is_all_touched --
-- Is there a table with days of which all are new?
SELECT count(*) > 0 FROM meta.touched WHERE quarter_hour IS NULL AND table_name NOT IN (SELECT unnest(?::VARCHAR[]))

-- forget_touched --
DELETE FROM meta.touched

-- models_version --
-- Which models was the last build made with, if there was one?
SELECT models_version FROM meta.builds
