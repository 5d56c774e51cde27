{{ config(meta={'dagster': {'ref': {'name': 'conservation'}}}) }}

with

conservation as (

    select * from {{ ref('conservation') }}

),

final as (

    select
        table_name,
        day,
        broken_term,
        accepted_count,
        stored_count,
        duplicate_count,
        rejected_count,
        dropped_count,
        erased_count,
        inserted_count,
        raw_count,
        dated_count,
        mart_count,
        uncounted_bot_count,
        canary_count
    from conservation
    where not is_conserved

)

select * from final
