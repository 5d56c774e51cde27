"""What each stage takes as events grow, reckoned from what one event costs. Pure arithmetic: nothing is measured here.

A stage's share is a straight line over events a day: of one machine of CORES cores and DISK_TB of disk, at the peak
hour. Where it passes 1, that machine is full. Cores are cores like those that the costs were measured on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields

CORES = 2
DISK_TB = 1.0
PEAK_FACTOR = 4.0
"""The busiest hour of a day beside its mean hour: what `docs/scale.md` has the reason for."""
REFRESH_SECONDS = 300.0
SEAL_SECONDS = 3600.0
"""How long a night's seal may keep the refresh waiting: both write the warehouse."""
HOT_DAYS = 90
EVENT_ID_DAYS = 7
DECADES = tuple(10**power for power in range(5, 11))
BUSY = 0.6
"""How busy bought cores are to be in the peak hour; the rest is for retries, vacuum, a host that is away."""
LATE_REFRESH_SECONDS = 3600.0

DAY_SECONDS = 86_400
YEAR_DAYS = 365


def _cost(label: str, unit: str) -> float:
    value: float = field(metadata={"label": label, "unit": unit})
    return value


@dataclass(frozen=True)
class Costs:
    """What was measured. Core-microseconds and bytes are those of one event, seconds those of one run."""

    batch_us: float = _cost("accepting it in a batch of 100, ingest worker", "core-µs")
    single_us: float = _cost("accepting it alone, ingest worker", "core-µs")
    batch_fsyncs: float = _cost("commits of the spool, in batches", "fsyncs")
    single_fsyncs: float = _cost("commits of the spool, alone", "fsyncs")
    spool_bytes: float = _cost("waiting in the spool", "bytes")
    spool_written_bytes: float = _cost("written to disk while it is accepted, in batches", "bytes")
    disk_mb_per_second: float = _cost("this disk, written and fsynced a megabyte at a time", "MB/s")
    disk_fsyncs_per_second: float = _cost("this disk, a page written and fsynced at a time", "fsyncs/s")
    drain_us: float = _cost("draining it, drainer", "core-µs")
    drain_postgres_us: float = _cost("draining it, Postgres", "core-µs")
    postgres_bytes: float = _cost("in Postgres, with indexes", "bytes")
    event_id_bytes: float = _cost("in Postgres besides, for a week, to know it again", "bytes")
    load_us: float = _cost("loading it, warehouse", "core-µs")
    load_postgres_us: float = _cost("loading it, Postgres", "core-µs")
    duckdb_us: float = _cost("building its day on DuckDB, each time", "core-µs")
    duckdb_seconds: float = _cost("a build on DuckDB, whatever is new", "seconds")
    spark_us: float = _cost("building its day on Spark, each time", "core-µs")
    spark_seconds: float = _cost("a build on Spark, whatever is new", "seconds")
    publish_seconds: float = _cost("publishing", "seconds")
    between_bytes: float = _cost("in the warehouse's own tables (users and sessions a day), for ever", "bytes")
    seal_us: float = _cost("sealing it, warehouse", "core-µs")
    seal_postgres_us: float = _cost("sealing it, Postgres", "core-µs")
    parquet_bytes: float = _cost("sealed, in Parquet", "bytes")
    published_day_bytes: float = _cost("a day in the published file, however many events", "bytes")


@dataclass(frozen=True)
class Stage:
    """A part of the path. `share` of one machine is `idle_share` with no event at all; `remedy` is what to add."""

    name: str
    idle_share: float
    share_an_event: float
    remedy: str

    def share(self, events_a_day: float) -> float:
        """Return which part of one machine it takes; above 1, more than there is."""
        return self.idle_share + self.share_an_event * events_a_day

    def full_at(self) -> float:
        """Return the events a day that fill one machine: 0 where none do, as it is full without."""
        return max(0.0, (1 - self.idle_share) / self.share_an_event) if self.share_an_event else math.inf


@dataclass(frozen=True)
class Bill:
    """What a product of so many events a day needs: cores that are busy to BUSY at the peak, and disk.

    Of `duckdb_cores` all are in one machine. A refresh of Spark's is ready after REFRESH_SECONDS or, `_late`, after
    LATE_REFRESH_SECONDS. Hot days are those in Postgres; sealed and `between` grow by so much each year, for ever.
    """

    events_a_day: float
    peak_events_per_second: float
    ingest_cores: float
    postgres_cores: float
    load_cores: float
    duckdb_cores: float
    spark_cores: float
    spark_late_cores: float
    hot_tb: float
    sealed_tb_a_year: float
    between_tb_a_year: float
    published_mb_a_year: float


def peak_events_per_second(events_a_day: float) -> float:
    """Return the rate of the busiest hour."""
    return events_a_day / DAY_SECONDS * PEAK_FACTOR


def stages(costs: Costs) -> list[Stage]:
    """Return the stages in the order of an event's path.

    What many processes share has CORES; what is one process after the other, as a drainer and its Postgres, has one.
    """
    peak = peak_events_per_second(1)
    both = peak / CORES / 1e6
    load_us = costs.load_us + costs.load_postgres_us
    loading = peak * load_us / CORES / 1e6
    disk = DISK_TB * 1e12

    def models(seconds: float, us: float) -> tuple[float, float]:
        # at a day's end, when all of it is built again; load and publishing stand in the same run
        return (seconds + costs.publish_seconds) / REFRESH_SECONDS, us / CORES / 1e6 / REFRESH_SECONDS + loading

    return [
        Stage("accept, batches of 100", 0, both * costs.batch_us, "ingest hosts behind a load balancer"),
        Stage("accept, one a request", 0, both * costs.single_us, "batches, then ingest hosts"),
        Stage("spool's disk", 0, peak * costs.spool_written_bytes / costs.disk_mb_per_second / 1e6, "ingest hosts"),
        Stage("drain", 0, peak * (costs.drain_us + costs.drain_postgres_us) / 1e6, "ingest hosts: each has a drainer"),
        Stage("Postgres, processor", 0, both * (costs.drain_postgres_us + costs.load_postgres_us), "a larger Postgres"),
        Stage("Postgres, disk", 0, hot_bytes(costs) / disk, "fewer hot days, then more disk"),
        Stage("load", 0, loading, "more cores; on Spark several partitions at a time"),
        Stage("refresh on DuckDB", *models(costs.duckdb_seconds, costs.duckdb_us), "more cores, then Spark"),
        Stage("refresh on Spark", *models(costs.spark_seconds, costs.spark_us), "Spark workers, or a later report"),
        Stage(
            "seal, in an hour a night", 0, (costs.seal_us + costs.seal_postgres_us) / 1e6 / SEAL_SECONDS, "more cores"
        ),
    ]  # fmt: skip


def hot_bytes(costs: Costs) -> float:
    """Return the bytes that Postgres keeps for one event a day."""
    return HOT_DAYS * costs.postgres_bytes + EVENT_ID_DAYS * costs.event_id_bytes


def first_full(path: Sequence[Stage], events_a_day: float) -> Stage | None:
    """Return the stage that is fullest, if it is full."""
    fullest = max(path, key=lambda stage: stage.share(events_a_day))
    return fullest if fullest.share(events_a_day) >= 1 else None


def bill(costs: Costs, events_a_day: float) -> Bill:
    """Add up cores and disk. Spark's cores assume that twice the cores build twice the events."""
    peak = peak_events_per_second(events_a_day)
    year = events_a_day * YEAR_DAYS

    def building(us: float, seconds: float, within: float) -> float:
        room = within - seconds - costs.publish_seconds
        return events_a_day * us / 1e6 / room / BUSY if room > 0 else math.inf

    return Bill(
        events_a_day=events_a_day,
        peak_events_per_second=peak,
        ingest_cores=peak * (costs.batch_us + costs.drain_us) / 1e6 / BUSY,
        postgres_cores=peak * (costs.drain_postgres_us + costs.load_postgres_us) / 1e6 / BUSY,
        load_cores=peak * costs.load_us / 1e6 / BUSY,
        duckdb_cores=building(costs.duckdb_us, costs.duckdb_seconds, REFRESH_SECONDS),
        spark_cores=building(costs.spark_us, costs.spark_seconds, REFRESH_SECONDS),
        spark_late_cores=building(costs.spark_us, costs.spark_seconds, LATE_REFRESH_SECONDS),
        hot_tb=events_a_day * hot_bytes(costs) / 1e12,
        sealed_tb_a_year=year * costs.parquet_bytes / 1e12,
        between_tb_a_year=year * costs.between_bytes / 1e12,
        published_mb_a_year=YEAR_DAYS * costs.published_day_bytes / 1e6,
    )


@dataclass(frozen=True)
class Line:
    """Seconds of a build over its events: `fixed` and so many for each."""

    fixed: float
    an_event: float

    def seconds(self, events: float) -> float:
        """Return how long it takes."""
        return self.fixed + self.an_event * events


def fit(small: tuple[float, float], large: tuple[float, float]) -> Line:
    """Return the line through two measurements of (events, seconds); noise may make no slope negative."""
    an_event = max(0.0, (large[1] - small[1]) / (large[0] - small[0]))
    return Line(max(0.0, small[1] - an_event * small[0]), an_event)


def pays_from(alone: Line, spread: Line, times: float) -> float:
    """Return from how many events on `spread` is faster, on `times` the machines that it was measured on.

    Its seconds an event are shared evenly, its fixed ones by nobody. Infinite where it never is.
    """
    won_an_event = alone.an_event - spread.an_event / times
    return max(0.0, (spread.fixed - alone.fixed) / won_an_event) if won_an_event > 0 else math.inf


def cost_rows(costs: Costs) -> list[tuple[str, str, str]]:
    """Return each cost as its label, its number and its unit."""
    values = asdict(costs)
    return [
        (
            each.metadata["label"],
            f"{values[each.name]:.4g}" if values[each.name] < 1000 else f"{values[each.name]:.0f}",
            each.metadata["unit"],
        )
        for each in fields(costs)
    ]


def read_costs(rows: Mapping[str, str]) -> Costs:
    """Make costs of numbers by label, as `cost_rows` writes them. Raises KeyError with the label that is missing."""
    return Costs(**{each.name: float(rows[each.metadata["label"]]) for each in fields(Costs)})
