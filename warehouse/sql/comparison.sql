-- Queries that prove the raw tables equal to Postgres, on DuckDB but where the name says Postgres. {…} are names of our
-- own, quoted by the caller.

-- postgres_incarnations --
-- On Postgres: what changes whenever the server or a table is replaced by another, or by an earlier one of itself?
-- TRUNCATE gives a plain table a new file; so does VACUUM FULL, which costs a comparison and no more.
SELECT
    c.relname::text,
    extract(epoch FROM pg_postmaster_start_time())::text || '/' || coalesce(pg_relation_filenode(c.oid), c.oid)::text
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ({names}::text[])

-- incarnations --
-- In which was each table last found, or made, equal to Postgres?
SELECT table_name, incarnation FROM meta.compared

-- delete_incarnation --
DELETE FROM meta.compared WHERE table_name = ?

-- insert_incarnation --
INSERT INTO meta.compared (table_name, incarnation) VALUES (?, ?)

-- postgres_sums --
-- On Postgres: how many rows does the snapshot see of each day, and what do their hashes add up to?
SELECT day, count(*), sum(('x' || substr(md5({text}), 1, 15))::bit(60)::bigint)::text
FROM (
    SELECT {day} AS day, {columns} FROM public.{table}
    WHERE {condition} AND pg_visible_in_snapshot(xid, {cur}::pg_snapshot)
) AS seen
GROUP BY day

-- sums --
SELECT {day} AS day, count(*), sum(from_hex('0' || substr(md5({text}), 1, 15))::BIT::BIGINT::HUGEINT)
FROM raw.{table}
WHERE {condition}
GROUP BY day

-- stop --
-- Did a load find another past, and no full load come since?
SELECT words FROM meta.stops

-- insert_stop --
INSERT INTO meta.stops (words, stopped_at) VALUES (?, now())

-- delete_stop --
DELETE FROM meta.stops
