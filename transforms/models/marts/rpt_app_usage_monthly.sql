with

app_days as (

    {{ touched_rows(ref('rpt_app_usage_daily'), 'event_date') }}

),

user_days as (

    {{ touched_rows(ref('int_user_days'), 'event_date') }}

),

session_days as (

    {{ touched_rows(ref('int_session_days'), 'event_date') }}

),

events as (

    select
        {{ year_month('event_date') }} as month,
        app_name,
        cast(sum(event_count) as bigint) as event_count
    from app_days
    group by
        {{ year_month('event_date') }},
        app_name

),

users as (

    select
        {{ year_month('event_date') }} as month,
        app_name,
        count(distinct user_id) as user_count
    from user_days
    group by
        {{ year_month('event_date') }},
        app_name

),

sessions as (

    select
        {{ year_month('event_date') }} as month,
        app_name,
        count(distinct session_id) as session_count
    from session_days
    group by
        {{ year_month('event_date') }},
        app_name

),

final as (

    select
        events.month,
        events.app_name,
        events.event_count,
        coalesce(users.user_count, 0) as user_count,
        coalesce(sessions.session_count, 0) as session_count
    from events
    left join users
        on
            events.month = users.month
            and events.app_name = users.app_name
    left join sessions
        on
            events.month = sessions.month
            and events.app_name = sessions.app_name

)

select * from final
