with

events as (

    {{ touched_rows(ref('stg_tracking_events'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as event_date,
        app_name,
        count(*) as event_count
    from events
    where is_bot
    group by
        created_date,
        app_name

)

select * from final
