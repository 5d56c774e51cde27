-- subscriptions: id, org_id, plan, duration, status, started_at, ends_at, updated_at; at first one version of each
SELECT
    id, org_id, plan, duration, status, started_at, ends_at, updated_at,
    least(updated_at, %(as_of)s), NULL::timestamptz, true
FROM subscriptions
