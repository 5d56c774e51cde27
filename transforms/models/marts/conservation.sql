with

intake as (

    select
        table_name,
        received_date as day,
        cast(sum(accepted_count) as bigint) as accepted_count,
        cast(sum(stored_count) as bigint) as stored_count,
        cast(sum(duplicate_count) as bigint) as duplicate_count,
        cast(sum(rejected_count) as bigint) as rejected_count,
        cast(sum(dropped_count) as bigint) as dropped_count,
        cast(sum(erased_count) as bigint) as erased_count
    from {{ ref('stg_intake_counts') }}
    group by
        table_name,
        received_date

),

received as (

    select
        table_name,
        received_date as day,
        row_count as raw_count,
        removed_row_count
    from {{ ref('stg_received_days') }}

),

dated as (

    select
        table_name,
        event_date as day,
        event_count as dated_count,
        uncounted_bot_count,
        canary_count
    from {{ ref('int_dated_events') }}

),

reports as (

    select
        'activity_events' as table_name,
        activity_date as day,
        login_count + app_open_count + action_count as event_count
    from {{ ref('rpt_daily_activity') }}

    union all

    select
        'activity_events' as table_name,
        activity_date as day,
        signup_count as event_count
    from {{ ref('rpt_activity_by_day') }}

    union all

    select
        'tracking_documents' as table_name,
        open_date as day,
        open_count as event_count
    from {{ ref('rpt_document_opens_daily') }}

    union all

    select
        'tracking_events' as table_name,
        event_date as day,
        event_count
    from {{ ref('rpt_event_usage_daily') }}

    union all

    select
        'tracking_events' as table_name,
        event_date as day,
        event_count
    from {{ ref('rpt_bot_traffic_daily') }}

),

marts as (

    select
        table_name,
        day,
        cast(sum(event_count) as bigint) as mart_count
    from reports
    group by
        table_name,
        day

),

days as (

    select
        table_name,
        day
    from intake

    union

    select
        table_name,
        day
    from received

    union

    select
        table_name,
        day
    from dated

    union

    select
        table_name,
        day
    from marts

),

counted as (

    select
        days.table_name,
        days.day,
        intake.accepted_count,
        intake.stored_count,
        intake.duplicate_count,
        intake.rejected_count,
        intake.dropped_count,
        intake.erased_count + coalesce(received.removed_row_count, 0) as erased_count,
        coalesce(received.raw_count, 0) as raw_count,
        coalesce(dated.dated_count, 0) as dated_count,
        coalesce(marts.mart_count, 0) as mart_count,
        coalesce(dated.uncounted_bot_count, 0) as uncounted_bot_count,
        coalesce(dated.canary_count, 0) as canary_count
    from days
    left join intake on days.table_name = intake.table_name and days.day = intake.day
    left join received on days.table_name = received.table_name and days.day = received.day
    left join dated on days.table_name = dated.table_name and days.day = dated.day
    left join marts on days.table_name = marts.table_name and days.day = marts.day

),

compared as (

    select
        *,
        -- rows that nobody counted: written to Postgres by plain SQL, or before it counted
        raw_count - stored_count + erased_count as inserted_count
    from counted

),

judged as (

    select
        *,
        case
            when accepted_count <> stored_count + duplicate_count + rejected_count + dropped_count
                then 'accepted = stored + duplicate + rejected + dropped'
            when inserted_count < 0
                then 'raw = stored + inserted - erased'
            when dated_count <> mart_count + uncounted_bot_count + canary_count
                then 'dated = mart + uncounted_bot + canary'
        end as broken_term
    from compared

),

final as (

    select
        table_name,
        day,
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
        canary_count,
        broken_term,
        broken_term is null as is_conserved
    from judged

)

select * from final
