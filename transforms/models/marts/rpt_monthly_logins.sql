with

activity_events as (

    select * from {{ ref('stg_activity_events') }}

),

logins as (

    select {{ year_month('created_at') }} as month
    from activity_events
    where
        event_type = 'login'
        and not is_bot

),

final as (

    select
        month,
        count(*) as login_count
    from logins
    group by month

)

select * from final
