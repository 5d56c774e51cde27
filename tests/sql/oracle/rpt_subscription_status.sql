-- status in ('active','expired','cancelled'): cancelledSubscriptions first, then expiredSubscriptions, then
-- activeSubscriptions, so that each subscription has one status
SELECT 'cancelled', count(*) FROM subscriptions WHERE status = 'cancelled'
UNION ALL
SELECT 'expired', count(*) FROM subscriptions
WHERE (status = 'expired' OR ends_at <= %(as_of)s) AND NOT status = 'cancelled'
UNION ALL
SELECT 'active', count(*) FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s
