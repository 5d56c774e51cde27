"""How old an asset may grow before Dagster warns, and before it calls it stale; and when a step is tried again.

An asset counts from its last materialization, one in which nothing had changed included: that is what tells a path on
which nothing happens from one that stands still. Nobody is told from here: that is `footfall.watch`.
"""

from datetime import timedelta

import dagster as dg

# what a refresh makes, each five minutes: the third one that does not come is a fault
OF_EACH_REFRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=10), fail_window=timedelta(minutes=20))
OF_EACH_CLEANUP = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=10), fail_window=timedelta(minutes=15))
# two hours for a start that is late and a run that takes long
OF_EACH_DAY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))

# of the step, for a refresh is not started anew: the next one comes anyway. Daily runs are: `jobs.py`
LOAD_RETRIES = dg.RetryPolicy(max_retries=2, delay=5)
