with

versions as (

    select
        *,
        lead(valid_from) over (partition by subscription_id order by valid_from) as next_from
    from {{ ref('dim_subscriptions') }}

),

final as (

    select
        subscription_id,
        valid_from,
        valid_to,
        next_from
    from versions
    where
        valid_to <= valid_from
        or next_from < valid_to
        or (next_from is not null and valid_to is null)
        or is_current <> (valid_to is null)

)

select * from final
