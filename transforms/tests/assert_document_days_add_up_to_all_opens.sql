{{ config(meta={'dagster': {'ref': {'name': 'rpt_document_opens'}}}) }}

with

sourced as (

    select count(*) as open_count
    from {{ source('raw', 'tracking_documents') }}
    where is_bot is not true

),

documents as (

    select coalesce(sum(open_count), 0) as open_count
    from {{ ref('rpt_document_opens') }}

),

days as (

    select coalesce(sum(open_count), 0) as open_count
    from {{ ref('rpt_document_opens_daily') }}

),

final as (

    select
        sourced.open_count as source_count,
        documents.open_count as all_open_count,
        days.open_count as daily_open_count
    from sourced
    cross join documents
    cross join days
    where
        sourced.open_count <> documents.open_count
        or sourced.open_count <> days.open_count

)

select * from final
