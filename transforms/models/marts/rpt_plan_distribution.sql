with

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

plans as (

    select
        plan,
        count(*) as subscription_count
    from subscriptions
    where
        status = 'active'
        and ends_at > {{ as_of() }}
    group by plan

),

all_plans as (

    select cast(sum(subscription_count) as bigint) as subscription_count
    from plans

),

final as (

    select
        plans.plan,
        plans.subscription_count,
        {{ percent('plans.subscription_count', 'all_plans.subscription_count') }} as subscription_percent
    from plans
    cross join all_plans

)

select * from final
