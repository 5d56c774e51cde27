-- Balances and what their logs add up to. `footfall/ledger.py` says what for.

-- differing --
-- Which balances are not what their log adds up to? Of one moment: a move changes both or none.
WITH points_logged AS (
    SELECT user_id, sum(CASE action WHEN 'earn' THEN points ELSE -points END)::bigint AS points
    FROM user_point_logs
    GROUP BY user_id
),
credits_logged AS (
    SELECT user_id, sum(credits_added)::bigint AS credits FROM user_credit_logs GROUP BY user_id
),
compared AS (
    SELECT user_id, 'points' AS kind, coalesce(b.points, 0) AS balance, coalesce(l.points, 0) AS logged
    FROM user_points AS b
    FULL JOIN points_logged AS l USING (user_id)
    UNION ALL
    SELECT user_id, 'credits', coalesce(b.credits, 0), coalesce(l.credits, 0)
    FROM user_credits AS b
    FULL JOIN credits_logged AS l USING (user_id)
)
SELECT user_id, kind, balance, logged FROM compared WHERE balance <> logged ORDER BY user_id, kind DESC

-- mend_points --
-- Set a balance of points to what its log adds up to, unless it has moved since they were compared.
WITH mended AS (
    INSERT INTO user_points AS b (user_id, points) VALUES (%(user_id)s::bigint, %(logged)s::integer)
    ON CONFLICT (user_id) DO UPDATE SET points = excluded.points WHERE b.points = %(balance)s::bigint
    RETURNING user_id
)
INSERT INTO admin_audit_log (actor, action, subject, detail)
SELECT
    %(actor)s::text, 'ledger.mend', 'points of user ' || user_id,
    jsonb_build_object('old', %(balance)s::bigint, 'new', %(logged)s::bigint)
FROM mended
RETURNING id

-- mend_credits --
-- The same of credits.
WITH mended AS (
    INSERT INTO user_credits AS b (user_id, credits) VALUES (%(user_id)s::bigint, %(logged)s::integer)
    ON CONFLICT (user_id) DO UPDATE SET credits = excluded.credits WHERE b.credits = %(balance)s::bigint
    RETURNING user_id
)
INSERT INTO admin_audit_log (actor, action, subject, detail)
SELECT
    %(actor)s::text, 'ledger.mend', 'credits of user ' || user_id,
    jsonb_build_object('old', %(balance)s::bigint, 'new', %(logged)s::bigint)
FROM mended
RETURNING id
