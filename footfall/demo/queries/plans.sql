-- what the active subscriptions are for, the most frequent plan first
SELECT plan, subscription_count, subscription_percent
FROM marts.rpt_plan_distribution
ORDER BY subscription_count DESC, plan
