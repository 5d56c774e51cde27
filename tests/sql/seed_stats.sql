-- totalUsers --
SELECT count(*) FROM accounts

-- activeUsersNow --
SELECT count(DISTINCT user_id) FROM user_heartbeats WHERE last_seen_at > %(as_of)s - %(timeout)s

-- expiredUsers --
-- a user's subscription is that of the organization; who has a live one beside it has not expired
SELECT count(*) FROM accounts
WHERE
    org_id IN (SELECT org_id FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s)
    AND org_id NOT IN (
        SELECT org_id FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s AND org_id IS NOT NULL
    )

-- inactiveUsers --
-- users not in activeUsersNow and not expired
SELECT count(*) FROM accounts
WHERE
    id NOT IN (SELECT user_id FROM user_heartbeats WHERE last_seen_at > %(as_of)s - %(timeout)s)
    AND NOT coalesce(
        org_id IN (SELECT org_id FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s)
        AND org_id NOT IN (
            SELECT org_id FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s AND org_id IS NOT NULL
        ),
        false
    )

-- activeSubscriptions --
SELECT count(*) FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s

-- expiredSubscriptions --
SELECT count(*) FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s

-- cancelledSubscriptions --
SELECT count(*) FROM subscriptions WHERE status = 'cancelled'

-- totalVisitors --
SELECT count(*) FROM visitor_sessions

-- visitorsNow --
SELECT count(*) FROM visitor_sessions WHERE last_seen_at > %(as_of)s - %(timeout)s

-- visitorsToday --
SELECT count(*) FROM visitor_sessions
WHERE last_seen_at >= date_trunc('day', %(as_of)s AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'

-- activityByDay --
SELECT day::date::text AS date, count(id) FILTER (WHERE event_type = 'login') AS logins,
    count(id) FILTER (WHERE event_type = 'signup') AS signups
FROM generate_series((%(as_of)s AT TIME ZONE 'UTC')::date - 6, (%(as_of)s AT TIME ZONE 'UTC')::date, '1 day') AS day
LEFT JOIN activity_events
    ON date(created_at AT TIME ZONE 'UTC') = day::date AND event_type IN ('login', 'signup') AND NOT is_bot
GROUP BY day
ORDER BY day

-- monthlyLogins --
SELECT to_char(month, 'YYYY-MM') AS month, count(id) AS logins
FROM generate_series(
    date_trunc('month', %(as_of)s AT TIME ZONE 'UTC') - interval '5 months',
    date_trunc('month', %(as_of)s AT TIME ZONE 'UTC'),
    '1 month'
) AS month
LEFT JOIN activity_events
    ON to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') = to_char(month, 'YYYY-MM')
    AND event_type = 'login' AND NOT is_bot
GROUP BY month
ORDER BY month

-- dailyActivity --
SELECT day::date::text AS date, count(id) FILTER (WHERE event_type = 'login') AS logins,
    count(id) FILTER (WHERE event_type = 'app_open') AS "appOpens",
    count(id) FILTER (WHERE event_type = 'action') AS actions
FROM generate_series((%(as_of)s AT TIME ZONE 'UTC')::date - 6, (%(as_of)s AT TIME ZONE 'UTC')::date, '1 day') AS day
LEFT JOIN activity_events ON date(created_at AT TIME ZONE 'UTC') = day::date AND NOT is_bot
GROUP BY day
ORDER BY day

-- planDistribution --
SELECT plan, count(*) AS count FROM subscriptions
WHERE status = 'active' AND ends_at > %(as_of)s
GROUP BY plan
ORDER BY count DESC, plan COLLATE "C"

-- plansPercentage --
SELECT plan, round(count(*) * 100.0 / sum(count(*)) OVER (), 1) AS percentage FROM subscriptions
WHERE status = 'active' AND ends_at > %(as_of)s
GROUP BY plan
ORDER BY count(*) DESC, plan COLLATE "C"

-- usersStatusPercentage --
-- active goes before expired, so that each account has one status; of no accounts each share is none
WITH accounts AS (
    SELECT
        id IN (SELECT user_id FROM user_heartbeats WHERE last_seen_at > %(as_of)s - %(timeout)s) AS active,
        coalesce(
            org_id IN (SELECT org_id FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s)
            AND org_id NOT IN (
                SELECT org_id FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s AND org_id IS NOT NULL
            ),
            false
        ) AS expired
    FROM accounts
)

SELECT
    coalesce(round(count(*) FILTER (WHERE active) * 100.0 / nullif(count(*), 0), 1), 0.0) AS active,
    coalesce(round(count(*) FILTER (WHERE expired AND NOT active) * 100.0 / nullif(count(*), 0), 1), 0.0) AS expired,
    coalesce(
        round(count(*) FILTER (WHERE NOT expired AND NOT active) * 100.0 / nullif(count(*), 0), 1), 0.0
    ) AS inactive
FROM accounts
