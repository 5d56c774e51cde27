{{ config(meta={'dagster': {'ref': {'name': 'rpt_totals'}}}) }}
{% set tables = raw_tables() %}

with

loads as (

    select
        count(*) as table_count,
        count(distinct snapshot) as moment_count,
        max(loaded_at) as loaded_at
    from meta.load_cursors
    where table_name in ('{{ tables | join("', '") }}')

),

builds as (

    select begun_at from meta.builds

),

totals as (

    select refreshed_at from {{ ref('rpt_totals') }}

),

final as (

    select
        loads.table_count,
        loads.moment_count,
        loads.loaded_at,
        builds.begun_at,
        totals.refreshed_at
    from loads
    left join builds on true
    left join totals on true
    where
        loads.table_count <> {{ tables | length }}
        or loads.moment_count <> 1
        or builds.begun_at is null
        or loads.loaded_at < builds.begun_at - interval '1' hour
        or totals.refreshed_at is null
        or totals.refreshed_at <> {{ as_of() }}

)

select * from final
