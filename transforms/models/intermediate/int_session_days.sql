with

events as (

    {{ touched_rows(ref('stg_tracking_events'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as event_date,
        app_name,
        session_id,
        count(*) as event_count
    from events
    where
        not is_bot
        and session_id is not null
    group by
        created_date,
        app_name,
        session_id

)

select * from final
