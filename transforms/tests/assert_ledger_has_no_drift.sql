select
    user_id,
    points,
    logged_points,
    credits,
    logged_credits
from {{ ref('rpt_ledger_drift') }}
