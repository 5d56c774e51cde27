with

-- the warehouse's own view on hot rows and on the manifest, no table of Postgres
source as (

    select
        received_days.table_name,
        received_days.received_date,
        received_days.row_count,
        received_days.removed_row_count
    from {{ given('sources', 'received_days') }} as received_days

),

final as (

    select
        table_name,
        received_date,
        row_count,
        removed_row_count
    from source

)

select * from final
