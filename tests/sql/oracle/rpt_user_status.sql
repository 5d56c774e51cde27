-- usersStatusPercentage: (active count / total users * 100), (expired count / total * 100), (inactive count / total
-- * 100); active goes before expired, so that each account has one status
WITH settings AS (
    SELECT coalesce(
        (SELECT setting_value::int FROM admin_settings WHERE setting_key = 'live_session_timeout_minutes'), 5
    ) * interval '1 minute' AS timeout
),

active AS (
    SELECT user_id AS id FROM user_heartbeats, settings WHERE last_seen_at > %(as_of)s - timeout
),

expired AS (
    SELECT id FROM accounts
    WHERE
        org_id IN (SELECT org_id FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s)
        AND NOT org_id = ANY (
            ARRAY(
                SELECT org_id FROM subscriptions
                WHERE status = 'active' AND ends_at > %(as_of)s AND org_id IS NOT NULL
            )
        )
    EXCEPT
    SELECT id FROM active
),

counts (status, number) AS (
    VALUES
    ('active', (SELECT count(*) FROM active)),
    ('expired', (SELECT count(*) FROM expired)),
    (
        'inactive',
        (
            SELECT count(*) FROM accounts
            WHERE id NOT IN (SELECT id FROM active) AND id NOT IN (SELECT id FROM expired)
        )
    )
)

SELECT status, number, round(number::numeric / nullif((SELECT count(*) FROM accounts), 0) * 100, 1)
FROM counts
