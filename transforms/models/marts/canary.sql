-- depends_on: {{ source('raw', 'tracking_events') }}
-- of it the rows that are not sealed yet: to find today's, the view on all would open every sealed file
with

events as (

    select
        event_id,
        created_at,
        received_at
    from {{ given('raw', 'tracking_events') }}
    where {{ is_canary() }}

),

newest as (

    select max(received_at) as received_at from events

),

final as (

    select
        events.event_id,
        events.created_at,
        events.received_at
    from events
    cross join newest
    where events.received_at > newest.received_at - interval '2' day

)

select * from final
