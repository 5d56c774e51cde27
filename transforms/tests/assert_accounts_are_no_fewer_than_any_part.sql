{{ config(meta={'dagster': {'ref': {'name': 'rpt_totals'}}}) }}

with

accounts as (

    select count(*) as account_count
    from {{ source('raw', 'accounts') }}

),

totals as (

    select * from {{ ref('rpt_totals') }}

),

statuses as (

    select
        sum(user_count) filter (where status = 'active') as active_count,
        sum(user_count) filter (where status = 'expired') as expired_count
    from {{ ref('rpt_user_status') }}

),

final as (

    select
        accounts.account_count,
        totals.total_users,
        totals.active_users_now,
        totals.expired_users,
        totals.inactive_users,
        statuses.active_count,
        statuses.expired_count
    from totals
    cross join accounts
    cross join statuses
    where
        totals.total_users <> accounts.account_count
        -- who is neither of both is inactive
        or totals.active_users_now > totals.total_users - totals.inactive_users
        or totals.expired_users > totals.total_users - totals.inactive_users
        -- of the statuses, active goes first
        or statuses.active_count > totals.active_users_now
        or statuses.expired_count > totals.expired_users

)

select * from final
