{{ config(meta={'dagster': {'ref': {'name': 'rpt_live_users'}}}) }}

with

live_window as (

    select
        live_since_at,
        live_since_at + timeout_minutes * interval '1' minute as looked_at
    from {{ ref('int_live_window') }}

),

sessions as (

    select live_sessions.*
    from {{ source('raw', 'tracking_live_sessions') }} as live_sessions
    cross join live_window
    where live_sessions.last_heartbeat >= live_window.live_since_at

),

observed as (

    select live_users.*
    from {{ ref('rpt_live_users') }} as live_users
    inner join live_window on live_users.observed_at = live_window.looked_at

),

everyone as (

    select
        count(*) as session_count,
        count(distinct user_id) as user_count
    from sessions

),

parts as (

    select
        coalesce(sum(live_user_count), 0) as user_sum,
        coalesce(max(live_user_count), 0) as most_user_count,
        coalesce(min(live_user_count), 1) as least_user_count
    from observed

),

final as (

    select
        everyone.session_count,
        everyone.user_count,
        parts.user_sum,
        parts.most_user_count,
        parts.least_user_count
    from everyone
    cross join parts
    where
        parts.most_user_count > everyone.user_count
        or parts.user_sum not between everyone.user_count and everyone.session_count
        or parts.least_user_count < 1

)

select * from final
