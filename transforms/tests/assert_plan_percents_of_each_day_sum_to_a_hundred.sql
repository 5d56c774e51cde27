-- each plan's percent is off by half a tenth at most
with

plans as (

    select * from {{ ref('rpt_plan_distribution_daily') }}

),

final as (

    select
        snapshot_date,
        count(*) as plan_count,
        sum(subscription_percent) as percent_sum
    from plans
    group by snapshot_date
    having abs(sum(subscription_percent) - 100) > 0.05 * count(*)

)

select * from final
