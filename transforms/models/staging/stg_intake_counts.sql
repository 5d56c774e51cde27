with

source as (

    select * from {{ source('raw', 'intake_counts') }}

),

final as (

    select
        id as intake_count_id,
        received_hour,
        {{ local_date('received_hour', 'UTC') }} as received_date,
        table_name,
        node_name,
        accepted_count,
        stored_count,
        duplicate_count,
        rejected_count,
        dropped_count,
        erased_count,
        human_count,
        last_human_at,
        updated_at
    from source

)

select * from final
