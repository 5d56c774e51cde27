{{ config(meta={'dagster': {'ref': {'name': 'rpt_document_opens_daily'}}}) }}

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
        documents.open_count as all_open_count,
        days.open_count as daily_open_count,
        coalesce(documents.app_name, days.app_name) as app_name,
        coalesce(documents.level_name, days.level_name) as level_name,
        coalesce(documents.chapter_name, days.chapter_name) as chapter_name,
        coalesce(documents.document_name, days.document_name) as document_name
    from documents
    full outer join days
        on
            documents.app_name = days.app_name
            and documents.level_name = days.level_name
            and documents.chapter_name = days.chapter_name
            and documents.document_name = days.document_name
    where
        documents.open_count <> days.open_count
        or documents.open_count is null
        or days.open_count is null

)

select * from final
