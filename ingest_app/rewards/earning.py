"""What events earn by the rules, in the transaction that drains them. How rules are set is `rules.py`.

Who earns what is decided by Postgres; matches go through here as JSON text that nobody reads. In this order: the
matches are found once, so that a rule that changes meanwhile changes nothing; the balances of all their users are
locked in the order of user ids, so that two drainers never wait for each other in a circle; only then, in a statement
of its own that sees what was committed while it waited, today's points are counted and the new ones given.
"""

import logging

from sqlalchemy import Connection, text

# the kind of records that may earn
REWARDED_KIND = "events"

log = logging.getLogger(__name__)

# whether anything may be earned now: all that a batch costs where there are no rules
_IS_EARNING = text("""
    SELECT
        EXISTS (SELECT FROM point_rules WHERE active)
        AND NOT EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0')
""")

# the events of this very transaction that a rule rewards, each with its rule as it is now. What happened before the
# rule was made earns nothing: histories that are sent later do not make anybody rich
_FIND_MATCHES = text("""
    SELECT CAST(json_agg(matched) AS text)
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
""")

# make the balances that are missing and lock all of them: a row is locked even where its update is not wanted
_LOCK_BALANCES = text("""
    INSERT INTO user_points (user_id)
    SELECT DISTINCT user_id FROM json_to_recordset(CAST(:matches AS json)) AS m (user_id bigint) ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET points = user_points.points WHERE false
""")

# give what is within each rule's cap and within what a balance can hold, in the order of the events' ids
_GIVE = text("""
    WITH matched AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY user_id, rule_id ORDER BY id) AS nth
        FROM json_to_recordset(CAST(:matches AS json)) AS m (
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
        WHERE l.action = 'earn' AND l.created_at >= b.day
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
""")


def earn_by_rules(connection: Connection) -> int:
    """Give what the tracking events of the caller's transaction earn, and return how many points.

    Called again in the same transaction it gives nothing twice. An event that would take a balance over what it can
    hold earns nothing, which the log says, nor does what its user would earn after it in this batch.
    """
    if not connection.execute(_IS_EARNING).scalar_one():
        return 0
    matches = connection.execute(_FIND_MATCHES).scalar_one()
    if matches is None:
        return 0
    connection.execute(_LOCK_BALANCES, {"matches": matches})
    given = connection.execute(_GIVE, {"matches": matches}).one()
    if given.too_large:
        log.warning("%d events earned nothing: a balance holds no more points", given.too_large)
    return int(given.points)
