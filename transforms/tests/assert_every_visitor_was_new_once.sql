{{ config(meta={'dagster': {'ref': {'name': 'rpt_visitors_daily'}}}) }}

with

days as (

    select
        coalesce(sum(new_visitor_count), 0) as new_visitor_count,
        count(*) filter (where new_visitor_count > visitor_count) as impossible_day_count
    from {{ ref('rpt_visitors_daily') }}

),

totals as (

    select * from {{ ref('rpt_totals') }}

),

final as (

    select
        days.new_visitor_count,
        days.impossible_day_count,
        totals.total_visitors,
        totals.visitors_now,
        totals.visitors_today
    from days
    cross join totals
    where
        days.new_visitor_count <> totals.total_visitors
        or days.impossible_day_count > 0
        or totals.visitors_now > totals.total_visitors
        or totals.visitors_today > totals.total_visitors

)

select * from final
