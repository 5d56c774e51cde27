{{ config(meta={'dagster': {'ref': {'name': 'rpt_subscription_status'}}}) }}

with

statuses as (

    select
        sum(subscription_count) as subscription_count,
        sum(subscription_count) filter (where status = 'active') as active_count,
        sum(subscription_count) filter (where status = 'cancelled') as cancelled_count
    from {{ ref('rpt_subscription_status') }}

),

subscriptions as (

    select count(*) as subscription_count
    from {{ source('raw', 'subscriptions') }}

),

totals as (

    select * from {{ ref('rpt_totals') }}

),

plans as (

    select coalesce(sum(subscription_count), 0) as subscription_count
    from {{ ref('rpt_plan_distribution') }}

),

final as (

    select
        statuses.subscription_count as reported_count,
        subscriptions.subscription_count as source_count,
        statuses.active_count,
        totals.active_subscriptions,
        plans.subscription_count as subscriptions_of_plans,
        statuses.cancelled_count,
        totals.cancelled_subscriptions
    from statuses
    cross join subscriptions
    cross join totals
    cross join plans
    where
        statuses.subscription_count <> subscriptions.subscription_count
        or statuses.active_count <> totals.active_subscriptions
        or statuses.active_count <> plans.subscription_count
        or statuses.cancelled_count <> totals.cancelled_subscriptions

)

select * from final
