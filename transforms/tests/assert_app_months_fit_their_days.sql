{{ config(meta={'dagster': {'ref': {'name': 'rpt_app_usage_monthly'}}}) }}

-- small tables: a row per day and app
with

days as (

    select
        {{ year_month('event_date') }} as month,
        app_name,
        sum(event_count) as event_count,
        max(user_count) as most_user_count,
        sum(user_count) as user_count,
        max(session_count) as most_session_count,
        sum(session_count) as session_count
    from {{ ref('rpt_app_usage_daily') }}
    group by
        {{ year_month('event_date') }},
        app_name

),

months as (

    select * from {{ ref('rpt_app_usage_monthly') }}

),

final as (

    select
        months.event_count,
        months.user_count,
        months.session_count,
        coalesce(months.month, days.month) as month,
        coalesce(months.app_name, days.app_name) as app_name
    from months
    full outer join days
        on
            months.month = days.month
            and months.app_name = days.app_name
    where
        months.month is null
        or days.month is null
        or months.event_count <> days.event_count
        or months.user_count not between days.most_user_count and days.user_count
        or months.session_count not between days.most_session_count and days.session_count

)

select * from final
