{{ config(meta={'dagster': {'ref': {'name': 'rpt_monthly_logins'}}}) }}

with

by_day as (

    select coalesce(sum(login_count), 0) as login_count
    from {{ ref('rpt_activity_by_day') }}

),

daily as (

    select coalesce(sum(login_count), 0) as login_count
    from {{ ref('rpt_daily_activity') }}

),

monthly as (

    select coalesce(sum(login_count), 0) as login_count
    from {{ ref('rpt_monthly_logins') }}

),

final as (

    select
        by_day.login_count as by_day_login_count,
        daily.login_count as daily_login_count,
        monthly.login_count as monthly_login_count
    from by_day
    cross join daily
    cross join monthly
    where
        by_day.login_count <> daily.login_count
        or by_day.login_count <> monthly.login_count

)

select * from final
