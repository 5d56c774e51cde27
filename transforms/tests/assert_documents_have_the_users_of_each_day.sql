{{ config(
    meta={
        'touched': {'tables': ['tracking_documents']},
        'dagster': {'ref': {'name': 'rpt_document_opens'}},
    }
) }}

with

user_days as (

    {{ touched_rows(ref('int_document_user_days'), 'open_date') }}

),

documents as (

    select * from {{ ref('rpt_document_opens') }}

),

days as (

    select
        open_date,
        app_name,
        level_name,
        chapter_name,
        document_name,
        count(user_id) as user_count
    from user_days
    group by
        open_date,
        app_name,
        level_name,
        chapter_name,
        document_name

),

final as (

    select
        days.open_date,
        days.app_name,
        days.level_name,
        days.chapter_name,
        days.document_name,
        days.user_count,
        documents.user_count as all_user_count,
        documents.open_count as all_open_count
    from days
    left join documents
        on
            days.app_name = documents.app_name
            and days.level_name = documents.level_name
            and days.chapter_name = documents.chapter_name
            and days.document_name = documents.document_name
    where
        documents.open_count is null
        or documents.user_count not between days.user_count and documents.open_count
        or documents.first_opened_at > documents.last_opened_at

)

select * from final
