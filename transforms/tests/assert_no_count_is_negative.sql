{{ config(meta={'dagster': {'ref': {'name': 'rpt_totals'}}}) }}

with

counts as (

    select
        'rpt_totals' as mart,
        least(
            total_users,
            active_users_now,
            expired_users,
            inactive_users,
            active_subscriptions,
            expired_subscriptions,
            cancelled_subscriptions,
            total_visitors,
            visitors_now,
            visitors_today
        ) as least_count
    from {{ ref('rpt_totals') }}

    union all

    select
        'rpt_plan_distribution_daily' as mart,
        subscription_count as least_count
    from {{ ref('rpt_plan_distribution_daily') }}

    union all

    select
        'rpt_points_balances' as mart,
        least(
            points,
            earned_points,
            redeemed_points,
            credits,
            credits_added,
            credits_spent
        ) as least_count
    from {{ ref('rpt_points_balances') }}

),

final as (

    select * from counts
    where least_count < 0

)

select * from final
