with

events as (

    {{ touched_rows(ref('stg_tracking_events'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as event_date,
        app_name,
        event_type,
        event_name,
        user_type,
        country_code,
        device_type,
        os,
        count(*) as event_count
    from events
    where not is_bot
    group by
        created_date,
        app_name,
        event_type,
        event_name,
        user_type,
        country_code,
        device_type,
        os

)

select * from final
