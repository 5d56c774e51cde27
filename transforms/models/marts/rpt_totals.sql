with

accounts as (

    select * from {{ ref('int_account_status') }}

),

heartbeats as (

    select * from {{ ref('stg_user_heartbeats') }}

),

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

visitor_sessions as (

    select * from {{ ref('stg_visitor_sessions') }}

),

forgotten_visitors as (

    select * from {{ ref('stg_forgotten_visitors') }}

),

live_window as (

    select * from {{ ref('int_live_window') }}

),

users as (

    select
        count(*) as total_users,
        count(*) filter (where is_expired) as expired_users,
        count(*) filter (where status = 'inactive') as inactive_users
    from accounts

),

active_users as (

    select count(distinct heartbeats.account_id) as active_users_now
    from heartbeats
    cross join live_window
    where heartbeats.last_seen_at > live_window.live_since_at

),

subscription_counts as (

    select
        count(*) filter (where status = 'active' and ends_at > {{ as_of() }}) as active_subscriptions,
        count(*) filter (where status = 'expired' or ends_at <= {{ as_of() }}) as expired_subscriptions,
        count(*) filter (where status = 'cancelled') as cancelled_subscriptions
    from subscriptions

),

forgotten as (

    -- their last visit is months ago: none of them is of now or of today
    select coalesce(cast(sum(visitor_count) as bigint), 0) as forgotten_count
    from forgotten_visitors

),

visitors as (

    select
        count(*) as known_count,
        count(*) filter (where visitor_sessions.last_seen_at > live_window.live_since_at) as visitors_now,
        count(*) filter (
            where {{ local_date('visitor_sessions.last_seen_at') }} >= {{ local_date(as_of()) }}
        ) as visitors_today
    from visitor_sessions
    cross join live_window

),

final as (

    select
        users.total_users,
        active_users.active_users_now,
        users.expired_users,
        users.inactive_users,
        subscription_counts.active_subscriptions,
        subscription_counts.expired_subscriptions,
        subscription_counts.cancelled_subscriptions,
        visitors.known_count + forgotten.forgotten_count as total_visitors,
        visitors.visitors_now,
        visitors.visitors_today,
        {{ as_of() }} as refreshed_at
    from users
    cross join active_users
    cross join subscription_counts
    cross join visitors
    cross join forgotten

)

select * from final
