-- each plan's percent is off by half a tenth at most
with

plans as (

    select * from {{ ref('rpt_plan_distribution') }}

),

final as (

    select
        count(*) as plan_count,
        sum(subscription_percent) as percent_sum
    from plans
    having abs(sum(subscription_percent) - 100) > 0.05 * count(*)

)

select * from final
