with

user_days as (

    select * from {{ ref('int_document_user_days') }}

),

final as (

    select
        app_name,
        level_name,
        chapter_name,
        document_name,
        cast(sum(open_count) as bigint) as open_count,
        count(distinct user_id) as user_count,
        min(first_opened_at) as first_opened_at,
        max(last_opened_at) as last_opened_at
    from user_days
    group by
        app_name,
        level_name,
        chapter_name,
        document_name

)

select * from final
