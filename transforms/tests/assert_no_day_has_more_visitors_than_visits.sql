{{ config(meta={'dagster': {'ref': {'name': 'rpt_visitors_daily'}}}) }}

with

sessions as (

    select
        {{ local_date('first_seen_at') }} as first_date,
        {{ local_date('last_seen_at') }} as last_date,
        1 as session_count,
        -- a session that was seen once has one visit, not two
        case when last_seen_at <> first_seen_at then 1 else 0 end as later_count
    from {{ source('raw', 'visitor_sessions') }}

    union all

    select
        {{ local_date('first_seen_at') }} as first_date,
        {{ local_date('last_seen_at') }} as last_date,
        visitor_count as session_count,
        case when last_seen_at <> first_seen_at then visitor_count else 0 end as later_count
    from {{ source('raw', 'forgotten_visitors') }}

),

known_visits as (

    select
        first_date as visit_date,
        session_count as first_count,
        0 as later_count
    from sessions

    union all

    select
        last_date as visit_date,
        0 as first_count,
        later_count
    from sessions
    where later_count > 0

),

visits as (

    select
        visit_date,
        sum(first_count) as first_count,
        sum(later_count) as later_count
    from known_visits
    group by visit_date

),

visitors as (

    select * from {{ ref('rpt_visitors_daily') }}

),

final as (

    select
        visitors.visitor_count,
        visitors.new_visitor_count,
        visits.first_count,
        visits.later_count,
        coalesce(visits.visit_date, visitors.visit_date) as visit_date
    from visits
    full outer join visitors on visits.visit_date = visitors.visit_date
    where
        visits.visit_date is null
        or visitors.visit_date is null
        or visitors.visitor_count > visits.first_count + visits.later_count
        or visitors.visitor_count < greatest(visits.first_count, visits.later_count)
        or visitors.new_visitor_count <> visits.first_count

)

select * from final
