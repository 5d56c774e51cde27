{{ config(
    meta={
        'touched': {'tables': ['tracking_documents']},
        'dagster': {'ref': {'name': 'rpt_document_opens_daily'}},
    }
) }}

with

documents as (

    {{ touched_rows(source('raw', 'tracking_documents'), local_date('created_at'), 'created_at') }}

),

document_days as (

    {{ touched_rows(ref('rpt_document_opens_daily'), 'open_date') }}

),

sourced as (

    select
        {{ local_date('created_at') }} as open_date,
        count(*) as open_count
    from documents
    where is_bot is not true
    group by {{ local_date('created_at') }}

),

reported as (

    select
        open_date,
        sum(open_count) as open_count
    from document_days
    group by open_date

),

final as (

    select
        sourced.open_count as source_count,
        reported.open_count as reported_count,
        coalesce(sourced.open_date, reported.open_date) as open_date
    from sourced
    full outer join reported on sourced.open_date = reported.open_date
    where
        sourced.open_count <> reported.open_count
        or sourced.open_count is null
        or reported.open_count is null

)

select * from final
