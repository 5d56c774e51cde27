-- planDistribution and plansPercentage at the last microsecond of each day, of today as of now: with one version of
-- each subscription known, written at its updated_at
WITH days AS (
    SELECT
        day::date AS day,
        least(
            (day + interval '1 day') AT TIME ZONE %(timezone)s - interval '1 microsecond', %(as_of)s
        ) AS at
    FROM generate_series(
        (SELECT date(least(min(updated_at), %(as_of)s) AT TIME ZONE %(timezone)s) FROM subscriptions)::timestamp,
        date(%(as_of)s AT TIME ZONE %(timezone)s)::timestamp,
        interval '1 day'
    ) AS day
)

SELECT
    day,
    plan,
    count(*),
    round(
        count(*)::numeric / (
            SELECT count(*) FROM subscriptions
            WHERE status = 'active' AND ends_at > days.at AND least(updated_at, %(as_of)s) <= days.at
        ) * 100,
        1
    )
FROM days
JOIN subscriptions ON status = 'active' AND ends_at > days.at AND least(updated_at, %(as_of)s) <= days.at
GROUP BY day, days.at, plan
