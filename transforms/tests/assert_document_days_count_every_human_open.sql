{{ config(
    meta={
        'touched': {'tables': ['tracking_documents']},
        'dagster': {'ref': {'name': 'rpt_document_opens_daily'}},
    }
) }}

with

documents as (

    {{ touched_rows(ref('stg_tracking_documents'), 'created_date', 'created_at') }}

),

document_days as (

    {{ touched_rows(ref('rpt_document_opens_daily'), 'open_date') }}

),

staged as (

    select
        created_date as open_date,
        count(*) as open_count
    from documents
    where not is_bot
    group by created_date

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
        staged.open_count as staged_count,
        reported.open_count as reported_count,
        coalesce(staged.open_date, reported.open_date) as open_date
    from staged
    full outer join reported on staged.open_date = reported.open_date
    where
        staged.open_count <> reported.open_count
        or staged.open_count is null
        or reported.open_count is null

)

select * from final
