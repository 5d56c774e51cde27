with

visitor_sessions as (

    select * from {{ ref('stg_visitor_sessions') }}

),

days as (

    select
        {{ local_date('first_seen_at') }} as first_date,
        {{ local_date('last_seen_at') }} as last_date
    from visitor_sessions

),

visits as (

    select
        first_date as visit_date,
        true as is_first
    from days

    union all

    -- a session that came and went on one day is counted above
    select
        last_date as visit_date,
        false as is_first
    from days
    where last_date <> first_date

),

final as (

    select
        visit_date,
        count(*) as visitor_count,
        count(*) filter (where is_first) as new_visitor_count
    from visits
    group by visit_date

)

select * from final
