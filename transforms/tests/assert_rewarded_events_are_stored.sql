{{ config(
    meta={
        'touched': {'tables': ['user_point_logs']},
        'dagster': {'ref': {'name': 'rpt_points_daily'}},
    }
) }}

-- what it is a check of, and runs after
-- depends_on: {{ ref('rpt_points_daily') }}
with

point_logs as (

    {{ touched_rows(source('raw', 'user_point_logs'), local_date('created_at'), 'created_at') }}

),

events as (

    select * from {{ source('raw', 'tracking_events') }}

),

-- an event and what it earns are written in one transaction
near_events as (

    {{ near_touched_days(source('raw', 'tracking_events'), 'received_at') }}

),

rewards as (

    select
        id,
        user_id,
        event_id
    from point_logs
    where event_id is not null

),

missed as (

    select rewards.*
    from rewards
    left join near_events
        on
            rewards.event_id = near_events.event_id
            and rewards.user_id = near_events.user_id
    where near_events.event_id is null

),

-- a clock that was wrong puts them far apart: where none is missed, this reads nothing
found as (

    select
        missed.id,
        events.user_id as event_user_id
    from missed
    inner join events on missed.event_id = events.event_id

),

final as (

    select
        missed.user_id,
        missed.id as point_log_id,
        missed.event_id,
        found.event_user_id,
        found.id is not null as is_stored
    from missed
    left join found on missed.id = found.id
    where
        found.event_user_id is null
        or found.event_user_id <> missed.user_id

)

select * from final
