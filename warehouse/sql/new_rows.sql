-- Queries on what a load has brought. {…} are names of our own.

-- late_rows --
-- How many rows that an earlier snapshot did not see are of a day before the one they were received on?
-- The first condition lets whole row groups be skipped.
SELECT count(*)
FROM raw.{table}
WHERE xid >= {first} AND (xid >= $xmax OR list_contains($open::UBIGINT[], xid))
    AND created_at < date_trunc('day', received_at)

-- newest_row --
-- When was the newest row of an event table received, of those that are not sealed yet?
SELECT max(received_at) FROM raw.{table}
