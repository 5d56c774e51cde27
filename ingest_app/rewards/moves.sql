-- The moves of the ledger, each one statement and so one transaction, in READ COMMITTED.
--
-- What all moves have in common:
-- `stored` is what was answered to this key before; where it is, nothing moves. Of two with one key at the same moment
-- the second meets the first at the primary key of idempotency_keys, and is undone whole.
-- `turn` is a lock that lasts as long as the move: who is refused waits for twins under way (`await_twins`) and asks again.
-- Balances are changed under a condition and not read first: an UPDATE that waited for a row looks at it again. They
-- are locked in one order, user_points before user_credits, since each part reads from the part before it.
-- A log row takes its time from the balance that it moved (see the trigger set_updated_at), so that the rows of a user
-- are in the order of their moves.
-- The last SELECT sees everything as it was before. `refusal` says why nothing moved; it is `overtaken` where all was
-- well before and somebody else's move came between, and then the question is worth asking again.

-- earn --
WITH stored AS (
    SELECT request_hash, status, answer FROM idempotency_keys
    WHERE app_name = %(app_name)s::text AND idempotency_key = %(idempotency_key)s::text
),
turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock_shared(
        hashtextextended(%(app_name)s::text || E'\n' || %(idempotency_key)s::text, 0)
    ) AS is_held
),
gate AS (
    SELECT
        EXISTS (SELECT FROM stored) AS is_stored,
        NOT EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0') AS is_open
    FROM turn
),
balance AS (
    INSERT INTO user_points AS b (user_id, points, updated_at)
    SELECT %(user_id)s::bigint, %(points)s::integer, clock_timestamp()
    FROM gate
    WHERE gate.is_open AND NOT gate.is_stored
    -- what is too large for the column is an error, and undoes all
    ON CONFLICT (user_id) DO UPDATE SET points = b.points + excluded.points
    RETURNING b.points, b.updated_at
),
logged AS (
    INSERT INTO user_point_logs (user_id, action, points, related_event, created_at)
    SELECT %(user_id)s::bigint, 'earn', %(points)s::integer, %(related_event)s::text, balance.updated_at
    FROM balance
    RETURNING id
),
kept AS (
    INSERT INTO idempotency_keys (app_name, idempotency_key, request_hash, status, answer)
    SELECT
        %(app_name)s::text, %(idempotency_key)s::text, %(request_hash)s::text, 200,
        format('{"log_id":%s,"user_id":%s,"points":%s}', logged.id, %(user_id)s::bigint, balance.points)
    FROM logged
    CROSS JOIN balance
    RETURNING request_hash, status, answer
)
SELECT
    coalesce(kept.status, stored.status) AS status,
    coalesce(kept.answer, stored.answer) AS answer,
    stored.request_hash AS stored_hash,
    CASE WHEN NOT gate.is_open THEN 'points_disabled' ELSE 'overtaken' END AS refusal,
    NULL::bigint AS held,
    NULL::bigint AS needed
FROM gate
LEFT JOIN stored ON TRUE
LEFT JOIN kept ON TRUE

-- redeem --
WITH stored AS (
    SELECT request_hash, status, answer FROM idempotency_keys
    WHERE app_name = %(app_name)s::text AND idempotency_key = %(idempotency_key)s::text
),
turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock_shared(
        hashtextextended(%(app_name)s::text || E'\n' || %(idempotency_key)s::text, 0)
    ) AS is_held
),
gate AS (
    SELECT
        EXISTS (SELECT FROM stored) AS is_stored,
        NOT EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0') AS is_open,
        -- nothing where there is no price, or one that somebody wrote past the checks
        (
            SELECT
                CASE
                    WHEN setting_value ~ '^([1-9][0-9]{0,5}|1000000)$' THEN setting_value::bigint * %(credits)s::integer
                END
            FROM admin_settings
            WHERE setting_key = 'points_per_credit'
        ) AS points_needed
    FROM turn
),
taken AS (
    UPDATE user_points AS b SET points = b.points - gate.points_needed
    FROM gate
    WHERE
        b.user_id = %(user_id)s::bigint
        AND b.points >= gate.points_needed
        AND gate.is_open
        AND NOT gate.is_stored
    RETURNING b.points, b.updated_at, gate.points_needed AS points_consumed
),
added AS (
    INSERT INTO user_credits AS b (user_id, credits, updated_at)
    SELECT %(user_id)s::bigint, %(credits)s::integer, clock_timestamp()
    FROM taken
    ON CONFLICT (user_id) DO UPDATE SET credits = b.credits + excluded.credits
    RETURNING b.credits, b.updated_at
),
logged AS (
    INSERT INTO user_point_logs (user_id, action, points, created_at)
    SELECT %(user_id)s::bigint, 'redeem', taken.points_consumed, taken.updated_at
    FROM taken
    CROSS JOIN added
    RETURNING id
),
credited AS (
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, created_at, point_log_id)
    SELECT %(user_id)s::bigint, %(credits)s::integer, taken.points_consumed, added.updated_at, logged.id
    FROM taken
    CROSS JOIN added
    CROSS JOIN logged
    RETURNING id
),
kept AS (
    INSERT INTO idempotency_keys (app_name, idempotency_key, request_hash, status, answer)
    SELECT
        %(app_name)s::text, %(idempotency_key)s::text, %(request_hash)s::text, 200,
        format(
            '{"log_id":%s,"user_id":%s,"points":%s,"credits":%s,"points_consumed":%s,"credits_added":%s}',
            logged.id, %(user_id)s::bigint, taken.points, added.credits, taken.points_consumed, %(credits)s::integer
        )
    FROM taken
    CROSS JOIN added
    CROSS JOIN logged
    CROSS JOIN credited
    RETURNING request_hash, status, answer
)
SELECT
    coalesce(kept.status, stored.status) AS status,
    coalesce(kept.answer, stored.answer) AS answer,
    stored.request_hash AS stored_hash,
    CASE
        WHEN NOT gate.is_open THEN 'points_disabled'
        WHEN gate.points_needed IS NULL THEN 'no_price'
        WHEN coalesce(held.points, 0) >= gate.points_needed THEN 'overtaken'
        WHEN
            held.points IS NOT NULL
            OR EXISTS (SELECT FROM user_credits WHERE user_id = %(user_id)s::bigint)
            OR EXISTS (SELECT FROM users WHERE id = %(user_id)s::bigint)
            THEN 'not_enough_points'
        ELSE 'unknown_user'
    END AS refusal,
    coalesce(held.points, 0)::bigint AS held,
    gate.points_needed AS needed
FROM gate
LEFT JOIN user_points AS held ON held.user_id = %(user_id)s::bigint
LEFT JOIN stored ON TRUE
LEFT JOIN kept ON TRUE

-- spend --
WITH stored AS (
    SELECT request_hash, status, answer FROM idempotency_keys
    WHERE app_name = %(app_name)s::text AND idempotency_key = %(idempotency_key)s::text
),
turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock_shared(
        hashtextextended(%(app_name)s::text || E'\n' || %(idempotency_key)s::text, 0)
    ) AS is_held
),
gate AS (
    SELECT
        EXISTS (SELECT FROM stored) AS is_stored,
        NOT EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0') AS is_open
    FROM turn
),
taken AS (
    UPDATE user_credits AS b SET credits = b.credits - %(credits)s::integer
    FROM gate
    WHERE
        b.user_id = %(user_id)s::bigint
        AND b.credits >= %(credits)s::integer
        AND gate.is_open
        AND NOT gate.is_stored
    RETURNING b.credits, b.updated_at
),
logged AS (
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, created_at)
    SELECT %(user_id)s::bigint, -%(credits)s::integer, 0, taken.updated_at
    FROM taken
    RETURNING id
),
kept AS (
    INSERT INTO idempotency_keys (app_name, idempotency_key, request_hash, status, answer)
    SELECT
        %(app_name)s::text, %(idempotency_key)s::text, %(request_hash)s::text, 200,
        format('{"log_id":%s,"user_id":%s,"credits":%s}', logged.id, %(user_id)s::bigint, taken.credits)
    FROM logged
    CROSS JOIN taken
    RETURNING request_hash, status, answer
)
SELECT
    coalesce(kept.status, stored.status) AS status,
    coalesce(kept.answer, stored.answer) AS answer,
    stored.request_hash AS stored_hash,
    CASE
        WHEN NOT gate.is_open THEN 'points_disabled'
        WHEN coalesce(held.credits, 0) >= %(credits)s::integer THEN 'overtaken'
        WHEN
            held.credits IS NOT NULL
            OR EXISTS (SELECT FROM user_points WHERE user_id = %(user_id)s::bigint)
            OR EXISTS (SELECT FROM users WHERE id = %(user_id)s::bigint)
            THEN 'not_enough_credits'
        ELSE 'unknown_user'
    END AS refusal,
    coalesce(held.credits, 0)::bigint AS held,
    %(credits)s::bigint AS needed
FROM gate
LEFT JOIN user_credits AS held ON held.user_id = %(user_id)s::bigint
LEFT JOIN stored ON TRUE
LEFT JOIN kept ON TRUE

-- reverse --
-- The opposite action with the same points; of a redeem, the credits that it bought go, too.
WITH stored AS (
    SELECT request_hash, status, answer FROM idempotency_keys
    WHERE app_name = %(app_name)s::text AND idempotency_key = %(idempotency_key)s::text
),
turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock_shared(
        hashtextextended(%(app_name)s::text || E'\n' || %(idempotency_key)s::text, 0)
    ) AS is_held
),
gate AS (
    SELECT
        undone.user_id,
        undone.action,
        undone.points,
        bought.credits_added,
        CASE
            WHEN EXISTS (SELECT FROM admin_settings WHERE setting_key = 'points_enabled' AND setting_value = '0')
                THEN 'points_disabled'
            WHEN undone.id IS NULL THEN 'unknown_log'
            WHEN undone.reverses_id IS NOT NULL THEN 'is_a_reversal'
            WHEN EXISTS (SELECT FROM user_point_logs WHERE reverses_id = %(log_id)s::bigint) THEN 'already_reversed'
            WHEN undone.action = 'redeem' AND bought.id IS NULL THEN 'not_reversible'
            WHEN undone.action = 'earn' AND coalesce(p.points, 0) < undone.points THEN 'not_enough_points'
            WHEN
                undone.action = 'redeem' AND coalesce(c.credits, 0) < bought.credits_added
                THEN 'not_enough_credits'
        END AS refusal,
        CASE undone.action WHEN 'earn' THEN coalesce(p.points, 0) ELSE coalesce(c.credits, 0) END AS held,
        CASE undone.action WHEN 'earn' THEN undone.points ELSE bought.credits_added END AS needed,
        coalesce(c.credits, 0) AS credits
    FROM turn
    LEFT JOIN user_point_logs AS undone ON undone.id = %(log_id)s::bigint
    LEFT JOIN user_credit_logs AS bought ON bought.point_log_id = undone.id
    LEFT JOIN user_points AS p ON p.user_id = undone.user_id
    LEFT JOIN user_credits AS c ON c.user_id = undone.user_id
),
passed AS (
    SELECT * FROM gate WHERE gate.refusal IS NULL AND NOT EXISTS (SELECT FROM stored)
),
taken AS (
    UPDATE user_points AS b SET points = b.points - passed.points
    FROM passed
    WHERE b.user_id = passed.user_id AND passed.action = 'earn' AND b.points >= passed.points
    RETURNING b.points, b.updated_at
),
given_back AS (
    INSERT INTO user_points AS b (user_id, points, updated_at)
    SELECT passed.user_id, passed.points, clock_timestamp()
    FROM passed
    WHERE passed.action = 'redeem'
    ON CONFLICT (user_id) DO UPDATE SET points = b.points + excluded.points
    RETURNING b.points, b.updated_at
),
uncredited AS (
    -- below zero is an error, and undoes all
    UPDATE user_credits AS b SET credits = b.credits - passed.credits_added
    FROM passed
    CROSS JOIN given_back
    WHERE b.user_id = passed.user_id
    RETURNING b.credits, b.updated_at
),
moved AS (
    SELECT taken.points, taken.updated_at, passed.credits FROM taken CROSS JOIN passed
    UNION ALL
    SELECT given_back.points, given_back.updated_at, uncredited.credits
    FROM given_back
    LEFT JOIN uncredited ON TRUE
),
logged AS (
    INSERT INTO user_point_logs (user_id, action, points, created_at, reverses_id, reason)
    SELECT
        passed.user_id, CASE passed.action WHEN 'earn' THEN 'redeem' ELSE 'earn' END, passed.points, moved.updated_at,
        %(log_id)s::bigint, %(reason)s::text
    FROM passed
    CROSS JOIN moved
    RETURNING id
),
credited AS (
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, created_at, point_log_id)
    SELECT passed.user_id, -passed.credits_added, -passed.points, uncredited.updated_at, logged.id
    FROM passed
    CROSS JOIN given_back
    CROSS JOIN logged
    -- credits that are gone by now leave no time here, which is an error, and undoes all
    LEFT JOIN uncredited ON TRUE
    RETURNING id
),
kept AS (
    INSERT INTO idempotency_keys (app_name, idempotency_key, request_hash, status, answer)
    SELECT
        %(app_name)s::text, %(idempotency_key)s::text, %(request_hash)s::text, 200,
        format(
            '{"log_id":%s,"reverses_id":%s,"user_id":%s,"points":%s,"credits":%s}',
            logged.id, %(log_id)s::bigint, passed.user_id, moved.points, moved.credits
        )
    FROM passed
    CROSS JOIN moved
    CROSS JOIN logged
    RETURNING request_hash, status, answer
)
SELECT
    coalesce(kept.status, stored.status) AS status,
    coalesce(kept.answer, stored.answer) AS answer,
    stored.request_hash AS stored_hash,
    coalesce(gate.refusal, 'overtaken') AS refusal,
    gate.held::bigint AS held,
    gate.needed::bigint AS needed
FROM gate
LEFT JOIN stored ON TRUE
LEFT JOIN kept ON TRUE

-- await_twins --
-- Ends when no move with this key is under way.
SELECT pg_advisory_xact_lock(hashtextextended(%(app_name)s::text || E'\n' || %(idempotency_key)s::text, 0)) AS ended
