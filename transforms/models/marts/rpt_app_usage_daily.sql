with

event_usage as (

    {{ touched_rows(ref('rpt_event_usage_daily'), 'event_date') }}

),

user_days as (

    {{ touched_rows(ref('int_user_days'), 'event_date') }}

),

session_days as (

    {{ touched_rows(ref('int_session_days'), 'event_date') }}

),

events as (

    select
        event_date,
        app_name,
        cast(sum(event_count) as bigint) as event_count
    from event_usage
    group by
        event_date,
        app_name

),

users as (

    select
        event_date,
        app_name,
        count(*) as user_count
    from user_days
    group by
        event_date,
        app_name

),

sessions as (

    select
        event_date,
        app_name,
        count(*) as session_count
    from session_days
    group by
        event_date,
        app_name

),

final as (

    select
        events.event_date,
        events.app_name,
        events.event_count,
        coalesce(users.user_count, 0) as user_count,
        coalesce(sessions.session_count, 0) as session_count
    from events
    left join users
        on
            events.event_date = users.event_date
            and events.app_name = users.app_name
    left join sessions
        on
            events.event_date = sessions.event_date
            and events.app_name = sessions.app_name

)

select * from final
