with

subscriptions as (

    select * from {{ ref('dim_subscriptions') }}

),

spells as (

    select
        plan,
        valid_from as active_from,
        -- least() passes over the null of a version that still holds
        least(valid_to, ends_at) as active_until
    from subscriptions
    where
        status = 'active'
        and ends_at > valid_from

),

-- each day is taken at its last moment: a spell counts on the day it begins, and no more on the day it ends
changes as (

    select
        plan,
        {{ local_date('active_from') }} as snapshot_date,
        1 as gained_count
    from spells

    union all

    -- today is taken now: what ends later today has not ended
    select
        plan,
        {{ local_date('active_until') }} as snapshot_date,
        -1 as gained_count
    from spells
    where active_until <= {{ as_of() }}

),

daily_changes as (

    select
        plan,
        snapshot_date,
        sum(gained_count) as gained_count
    from changes
    group by
        plan,
        snapshot_date

),

stretches as (

    select
        plan,
        snapshot_date,
        cast(
            sum(gained_count) over (partition by plan order by snapshot_date) as bigint
        ) as subscription_count,
        coalesce(
            lead(snapshot_date) over (partition by plan order by snapshot_date),
            {{ local_date(as_of()) }} + 1
        ) as next_date
    from daily_changes

),

days as (

    select
        {{ each_day('snapshot_date', 'next_date') }} as snapshot_date,
        plan,
        subscription_count
    from stretches
    where subscription_count <> 0

),

totals as (

    select
        *,
        cast(sum(subscription_count) over (partition by snapshot_date) as bigint) as all_subscription_count
    from days

),

final as (

    select
        snapshot_date,
        plan,
        subscription_count,
        {{ percent('subscription_count', 'all_subscription_count') }} as subscription_percent
    from totals

)

select * from final
