-- Queries on Postgres of who watches. Each has a name, and a line that says what it answers.

-- human_counts --
-- How many events of people came in each hour of the last two weeks and today, over all tables and nodes?
SELECT received_hour, sum(human_count)::bigint AS human_count, max(last_human_at) AS last_human_at
FROM intake_counts
WHERE received_hour >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '15 days'
    -- history that somebody brought in is no sign of life
    AND node_name <> 'import'
GROUP BY received_hour

-- rejected_count --
-- How many records were refused within a day and are not brought in yet?
SELECT count(*) FROM rejected_records WHERE rejected_at > now() - interval '1 day'
