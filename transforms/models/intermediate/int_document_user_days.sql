with

documents as (

    {{ touched_rows(ref('stg_tracking_documents'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as open_date,
        app_name,
        level_name,
        chapter_name,
        document_name,
        user_id,
        count(*) as open_count,
        min(created_at) as first_opened_at,
        max(created_at) as last_opened_at
    from documents
    where not is_bot
    group by
        created_date,
        app_name,
        level_name,
        chapter_name,
        document_name,
        user_id

)

select * from final
