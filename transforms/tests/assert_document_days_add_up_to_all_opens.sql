with

documents as (

    select
        app_name,
        level_name,
        chapter_name,
        document_name,
        open_count
    from {{ ref('rpt_document_opens') }}

),

days as (

    select
        app_name,
        level_name,
        chapter_name,
        document_name,
        sum(open_count) as open_count
    from {{ ref('rpt_document_opens_daily') }}
    group by
        app_name,
        level_name,
        chapter_name,
        document_name

),

final as (

    select
        app_name,
        level_name,
        chapter_name,
        document_name,
        documents.open_count as all_open_count,
        days.open_count as daily_open_count
    from documents
    full outer join days using (app_name, level_name, chapter_name, document_name)
    where
        documents.open_count <> days.open_count
        or documents.open_count is null
        or days.open_count is null

)

select * from final
