with

visitor_sessions as (

    select * from {{ ref('stg_visitor_sessions') }}

),

forgotten_visitors as (

    select * from {{ ref('stg_forgotten_visitors') }}

),

visitors as (

    select
        first_seen_at,
        last_seen_at,
        1 as visitor_count
    from visitor_sessions

    union all

    select
        first_seen_at,
        last_seen_at,
        visitor_count
    from forgotten_visitors

),

days as (

    select
        {{ local_date('first_seen_at') }} as first_date,
        {{ local_date('last_seen_at') }} as last_date,
        visitor_count
    from visitors

),

visits as (

    select
        first_date as visit_date,
        visitor_count,
        visitor_count as new_visitor_count
    from days

    union all

    -- a session that came and went on one day is counted above
    select
        last_date as visit_date,
        visitor_count,
        0 as new_visitor_count
    from days
    where last_date <> first_date

),

final as (

    select
        visit_date,
        cast(sum(visitor_count) as bigint) as visitor_count,
        cast(sum(new_visitor_count) as bigint) as new_visitor_count
    from visits
    group by visit_date

)

select * from final
