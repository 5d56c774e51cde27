with

days as (

    select * from {{ ref('rpt_activity_by_day') }}

),

final as (

    select
        {{ year_month('activity_date') }} as month,
        cast(sum(login_count) as bigint) as login_count
    from days
    where login_count > 0
    group by {{ year_month('activity_date') }}

)

select * from final
