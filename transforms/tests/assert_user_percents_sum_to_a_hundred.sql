-- each status's percent is off by half a tenth at most
with

statuses as (

    select * from {{ ref('rpt_user_status') }}

),

final as (

    select
        count(*) as status_count,
        sum(user_percent) as percent_sum
    from statuses
    having abs(sum(user_percent) - 100) > 0.05 * count(*)

)

select * from final
