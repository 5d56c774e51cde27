{{ config(meta={'dagster': {'ref': {'name': 'conservation'}}}) }}

with

conservation as (

    select * from {{ ref('conservation') }}

),

tables as (

    select
        table_name,
        cast(sum(raw_count) as bigint) as raw_count,
        cast(sum(dated_count) as bigint) as dated_count
    from conservation
    group by table_name

),

final as (

    select
        table_name,
        raw_count,
        dated_count
    from tables
    where raw_count <> dated_count

)

select * from final
