-- planDistribution: from subscriptions (active only) group by plan;
-- plansPercentage: planDistribution counts / total active subscriptions * 100
SELECT
    plan,
    count(*),
    round(
        count(*)::numeric / (
            SELECT count(*) FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s
        ) * 100,
        1
    )
FROM subscriptions
WHERE status = 'active' AND ends_at > %(as_of)s
GROUP BY plan
