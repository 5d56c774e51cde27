{{ config(meta={'dagster': {'ref': {'name': 'rpt_user_status'}}}) }}

with

statuses as (

    select
        sum(user_count) as user_count,
        sum(user_count) filter (where status = 'inactive') as inactive_count
    from {{ ref('rpt_user_status') }}

),

totals as (

    select * from {{ ref('rpt_totals') }}

),

final as (

    select
        statuses.user_count,
        totals.total_users,
        statuses.inactive_count,
        totals.inactive_users
    from statuses
    cross join totals
    where
        statuses.user_count <> totals.total_users
        or statuses.inactive_count <> totals.inactive_users

)

select * from final
