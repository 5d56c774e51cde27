-- raw rows, not staging's: what staging leaves out by mistake has to be missed by somebody
with

activity_events as (

    {{ touched_rows(source('raw', 'activity_events'), local_date('created_at'), 'created_at') }}

),

tracking_documents as (

    {{ touched_rows(source('raw', 'tracking_documents'), local_date('created_at'), 'created_at') }}

),

tracking_events as (

    {{ touched_rows(source('raw', 'tracking_events'), local_date('created_at'), 'created_at') }}

),

final as (

    select
        'activity_events' as table_name,
        {{ local_date('created_at') }} as event_date,
        count(*) as event_count,
        count(*) filter (where is_bot) as uncounted_bot_count,
        cast(0 as bigint) as canary_count
    from activity_events
    group by {{ local_date('created_at') }}

    union all

    select
        'tracking_documents' as table_name,
        {{ local_date('created_at') }} as event_date,
        count(*) as event_count,
        count(*) filter (where is_bot) as uncounted_bot_count,
        cast(0 as bigint) as canary_count
    from tracking_documents
    group by {{ local_date('created_at') }}

    union all

    select
        'tracking_events' as table_name,
        {{ local_date('created_at') }} as event_date,
        count(*) as event_count,
        cast(0 as bigint) as uncounted_bot_count,
        count(*) filter (where {{ is_canary() }}) as canary_count
    from tracking_events
    group by {{ local_date('created_at') }}

)

select * from final
