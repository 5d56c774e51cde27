{{ config(meta={'dagster': {'ref': {'name': 'rpt_document_opens'}}}) }}

with

staged as (

    select count(*) as open_count
    from {{ ref('stg_tracking_documents') }}
    where not is_bot

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
        staged.open_count as staged_count,
        documents.open_count as all_open_count,
        days.open_count as daily_open_count
    from staged
    cross join documents
    cross join days
    where
        staged.open_count <> documents.open_count
        or staged.open_count <> days.open_count

)

select * from final
