-- What events earn by the rules. `earning.py` says in which order, and why.

-- is_earning --
-- May anything be earned now? It is all that a batch costs where there are no rules.
SELECT
    EXISTS (SELECT FROM point_rules WHERE active)
    AND NOT EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0')

-- find_matches --
-- Which events of this very transaction does a rule reward? Each with its rule as it is now. What happened before the
-- rule was made earns nothing: histories that are sent later make nobody rich.
SELECT json_agg(matched)::text
FROM (
    SELECT e.id, e.event_id, e.user_id, r.id AS rule_id, r.event_name, r.points, r.daily_cap
    FROM tracking_events AS e
    JOIN point_rules AS r ON r.event_type = e.event_type AND r.event_name = e.event_name
    WHERE
        e.xid = pg_current_xact_id()
        -- so that old partitions need not be looked at; a day, for clocks are put back
        AND e.received_at > now() - interval '1 day'
        AND r.active
        AND e.user_id IS NOT NULL
        AND e.user_type <> 'guest'
        AND NOT e.is_bot
        AND e.created_at >= r.created_at
        AND NOT EXISTS (SELECT FROM user_point_logs AS l WHERE l.event_id = e.event_id)
) AS matched

-- lock_balances --
-- Make the balances that are missing and lock all of them: a row is locked even where its update is not wanted.
INSERT INTO user_points (user_id)
SELECT DISTINCT user_id FROM json_to_recordset(%(matches)s::json) AS m (user_id bigint) ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE SET points = user_points.points WHERE false

-- give --
-- Give what is within each rule's cap and within what a balance can hold, in the order of the events' ids.
WITH matched AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY user_id, rule_id ORDER BY id) AS nth
    FROM json_to_recordset(%(matches)s::json) AS m (
        id bigint, event_id uuid, user_id bigint, rule_id bigint, event_name text, points integer, daily_cap integer
    )
),
balance AS MATERIALIZED (
    -- the clock that the log rows will show, which is never before the last of them
    SELECT user_id, points, date_trunc('day', greatest(clock_timestamp(), updated_at), 'UTC') AS day
    FROM user_points
    WHERE user_id IN (SELECT user_id FROM matched)
),
today AS (
    SELECT l.user_id, l.rule_id, sum(l.points) AS points
    FROM (SELECT DISTINCT user_id, rule_id FROM matched WHERE daily_cap IS NOT NULL) AS capped
    JOIN balance AS b ON b.user_id = capped.user_id
    JOIN user_point_logs AS l ON l.user_id = capped.user_id AND l.rule_id = capped.rule_id
    WHERE l.created_at >= b.day
    GROUP BY l.user_id, l.rule_id
),
within_cap AS MATERIALIZED (
    SELECT m.*, b.points + sum(m.points) OVER (PARTITION BY m.user_id ORDER BY m.id) AS balance_after
    FROM matched AS m
    JOIN balance AS b ON b.user_id = m.user_id
    LEFT JOIN today AS t ON t.user_id = m.user_id AND t.rule_id = m.rule_id
    WHERE m.daily_cap IS NULL OR coalesce(t.points, 0) + m.nth * m.points <= m.daily_cap
),
given AS MATERIALIZED (SELECT * FROM within_cap WHERE balance_after <= 2147483647),
moved AS (
    UPDATE user_points AS p SET points = p.points + g.points
    FROM (SELECT user_id, sum(points) AS points FROM given GROUP BY user_id) AS g
    WHERE p.user_id = g.user_id
    RETURNING p.user_id, p.updated_at
),
logged AS (
    INSERT INTO user_point_logs (user_id, action, points, related_event, created_at, event_id, rule_id)
    SELECT g.user_id, 'earn', g.points, g.event_name, moved.updated_at, g.event_id, g.rule_id
    FROM given AS g
    JOIN moved ON moved.user_id = g.user_id
    ORDER BY g.id
    RETURNING points
)
SELECT
    coalesce(sum(points), 0) AS points,
    (SELECT count(*) FROM within_cap) - count(*) AS too_large
FROM logged
