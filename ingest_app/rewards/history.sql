-- What the ledger tells: balances and log rows. Nothing moves here.

-- balance --
-- What does a user have, and since when?
SELECT
    coalesce(p.points, 0) AS points,
    coalesce(c.credits, 0) AS credits,
    greatest(p.updated_at, c.updated_at) AS updated_at,
    p.user_id IS NOT NULL OR c.user_id IS NOT NULL OR u.id IS NOT NULL
    OR EXISTS (SELECT FROM user_point_logs WHERE user_id = one.user_id) AS is_known
FROM (VALUES (%(user_id)s::bigint)) AS one (user_id)
LEFT JOIN user_points AS p ON p.user_id = one.user_id
LEFT JOIN user_credits AS c ON c.user_id = one.user_id
LEFT JOIN users AS u ON u.id = one.user_id

-- balance_at --
-- What did a user have at a time? Credits count from the moment at which their points were consumed: both move at once.
SELECT
    (
        SELECT coalesce(sum(CASE action WHEN 'earn' THEN points ELSE -points END), 0)::bigint
        FROM user_point_logs
        WHERE user_id = one.user_id AND created_at <= %(at)s::timestamptz
    ) AS points,
    (
        SELECT coalesce(sum(c.credits_added), 0)::bigint
        FROM user_credit_logs AS c
        LEFT JOIN user_point_logs AS p ON p.id = c.point_log_id
        WHERE c.user_id = one.user_id AND coalesce(p.created_at, c.created_at) <= %(at)s::timestamptz
    ) AS credits,
    EXISTS (SELECT FROM user_points WHERE user_id = one.user_id)
    OR EXISTS (SELECT FROM user_credits WHERE user_id = one.user_id)
    OR EXISTS (SELECT FROM user_point_logs WHERE user_id = one.user_id)
    OR EXISTS (SELECT FROM users WHERE id = one.user_id) AS is_known
FROM (VALUES (%(user_id)s::bigint)) AS one (user_id)

-- point_logs --
-- Which moves of points had a user, newest first, and which credits came or went with each?
WITH page AS MATERIALIZED (
    -- the sum keeps it from reading all users' rows backwards: they are found by the user
    SELECT * FROM user_point_logs
    WHERE user_id = %(user_id)s::bigint AND id < coalesce(%(before)s::bigint, 9223372036854775807)
    ORDER BY id + 0 DESC
    LIMIT %(limit)s::integer
)
SELECT
    page.id AS log_id, page.action, page.points, page.related_event, page.created_at, page.reverses_id, page.reason,
    page.event_id, page.rule_id, c.credits_added, c.points_consumed
FROM page
LEFT JOIN user_credit_logs AS c ON c.point_log_id = page.id
ORDER BY page.id DESC

-- credit_logs --
-- Which moves of credits had a user, newest first?
SELECT id AS log_id, credits_added, points_consumed, point_log_id, created_at
FROM user_credit_logs
WHERE user_id = %(user_id)s::bigint AND id < coalesce(%(before)s::bigint, 9223372036854775807)
ORDER BY id + 0 DESC
LIMIT %(limit)s::integer
