with

activity_events as (

    {{ touched_rows(ref('stg_activity_events'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as activity_date,
        count(*) filter (where event_type = 'login') as login_count,
        count(*) filter (where event_type = 'app_open') as app_open_count,
        count(*) filter (where event_type = 'action') as action_count
    from activity_events
    where not is_bot
    group by created_date

)

select * from final
