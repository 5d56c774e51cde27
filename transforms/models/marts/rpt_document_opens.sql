with

documents as (

    select * from {{ ref('stg_tracking_documents') }}

),

final as (

    select
        app_name,
        level_name,
        chapter_name,
        document_name,
        count(*) as open_count,
        count(distinct user_id) as user_count,
        min(created_at) as first_opened_at,
        max(created_at) as last_opened_at
    from documents
    where not is_bot
    group by
        app_name,
        level_name,
        chapter_name,
        document_name

)

select * from final
