"""What a look means: each rule on its own, what hides behind what, and what is never said."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.watch.canary import Sent
from footfall.watch.look import Disk, Ingest, Look, Postgres, Published, Spool, Unknown
from footfall.watch.problems import RULES, judge
from pipelines.report import FailedCheck, FailedRun, LongRun, Report, StaleAsset
from tests.unit.looks import NOW, WELL, a_look, ago

POSTGRES = Postgres({}, ago(10), True, 0, 5)
OLD = Published(ago(3_000), ago(3_100), ago(3_200))
USUAL = {NOW.replace(minute=0) - timedelta(hours=n): 100 for n in range(24 * 15)}
SICK = Report(
    ago(10),
    (FailedRun("seal", "0123456789", ago(60), 3),),
    (FailedCheck("rpt_totals", "not_null", True, "0123456789", ago(60)),),
    (StaleAsset("rpt_totals", ago(400)),),
    (LongRun("refresh", "0123456789", ago(1_800), 30.0),),
)
LOOKS = {
    "postgres_away": a_look(postgres=Unknown("connection refused")),
    "ingest_away": a_look(ingest=Ingest(("disk: full",))),
    "disk_full": a_look(disks=(Disk("archive", 10, 10**9),)),
    "spool_damaged": a_look(spool=Spool(0, 0, 1)),
    "drain_stopped": a_look(ingest=Ingest((), None, ago(100))),
    "spool_waits": a_look(spool=Spool(1_234, 130, 0)),
    "records_rejected": a_look(postgres=replace(POSTGRES, rejected_count=2)),
    "ingest_silent": a_look(postgres=replace(POSTGRES, human_counts=USUAL, last_human_at=ago(1_800))),
    "retention_stopped": a_look(postgres=replace(POSTGRES, overdue_days=("tracking_events of 2025-01-01",))),
    "dagster_silent": a_look(dagster=Report(ago(301))),
    "run_failed": a_look(dagster=replace(SICK, failed_checks=(), stale_assets=(), long_runs=())),
    "run_hangs": a_look(dagster=replace(SICK, failed_checks=(), stale_assets=(), failed_runs=())),
    "check_failed": a_look(dagster=replace(SICK, failed_runs=(), stale_assets=(), long_runs=())),
    "refresh_late": a_look(published=OLD, sent=Sent("an id", ago(1), ago(5))),
    "load_late": a_look(published=Published(ago(10), ago(730), ago(10))),
    "canary_late": a_look(published=Published(ago(10), ago(20), ago(901))),
    "asset_stale": a_look(dagster=replace(SICK, failed_checks=(), failed_runs=(), long_runs=())),
}


def kinds(look: Look) -> list[str]:
    return [problem.kind for problem in judge(look).problems]


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert judge(WELL).problems == ()
    assert judge(WELL).unknown_kinds == set()


@pytest.mark.parametrize("kind", [rule.kind for rule in RULES])
def test_each_rule_sees_its_problem_and_no_other(kind: str) -> None:
    assert kinds(LOOKS[kind]) == [kind]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("spool_waits", "1,234 records wait for Postgres, the oldest for 2 min"),
        ("disk_full", "the disk of the archive has 0.0 GB left"),
        ("run_failed", "the job seal failed, 3 times since it last went well, the last at 10:29 UTC (run 01234567)"),
        ("check_failed", "the check rpt_totals:not_null fails (run 01234567; the old published file stays)"),
        ("ingest_silent", "no event of a person came for 30 min, which is unusual for these hours; the last one at "),
        ("refresh_late", "nothing was published for 50 min"),
    ],
)
def test_sentence_has_the_numbers(kind: str, sentence: str) -> None:
    [problem] = judge(LOOKS[kind]).problems
    assert problem.sentence.startswith(sentence)


def test_growing_lag_is_told_before_assets_are_stale() -> None:
    from pipelines.freshness import OF_EACH_REFRESH

    late = {rule.kind: rule.threshold for rule in RULES if rule.kind in {"refresh_late", "load_late", "canary_late"}}
    fail_window = getattr(OF_EACH_REFRESH, "fail_window")  # noqa: B009 # of a class that is not public
    assert max(late.values()) < fail_window.to_timedelta().total_seconds()


def test_rules_come_after_those_they_are_behind() -> None:
    order = [rule.kind for rule in RULES]
    assert [
        rule.kind for rule in RULES if any(order.index(cause) > order.index(rule.kind) for cause in rule.behind)
    ] == []


def test_consequences_are_not_judged_while_their_cause_is_there() -> None:
    judged = judge(a_look(postgres=Unknown("away"), published=OLD, dagster=Unknown("x"), spool=Spool(9, 900, 0)))
    assert [problem.kind for problem in judged.problems] == ["postgres_away"]
    assert {"refresh_late", "load_late", "canary_late", "dagster_silent", "spool_waits"} <= judged.unknown_kinds


def test_fresh_watcher_does_not_judge_what_was_before_it() -> None:
    parts = {"published": OLD, "dagster": Report(ago(90_000)), "ingest": Ingest((), 0, None)}
    # the last one of before a long stop, until the first one of now is sent
    last = Sent("the last", ago(18_000), ago(90_000))
    assert judge(a_look(watched_seconds=5, sent=last, **parts)).problems == ()
    judged = judge(a_look(watched_seconds=60, sent=Sent("the first", ago(20), ago(20)), **parts))
    assert judged.problems == ()
    assert {"refresh_late", "dagster_silent"} <= judged.unknown_kinds
    assert "drain_stopped" not in kinds(a_look(watched_seconds=60, ingest=Ingest((), 0, None)))


def test_ingest_behind_a_proxy_is_left_to_the_canary() -> None:
    behind = Ingest(is_open=False)
    judged = judge(a_look(ingest=behind))
    assert judged.problems == ()
    assert judged.unknown_kinds == {"drain_stopped"}
    assert kinds(a_look(ingest=behind, published=Published(ago(10), ago(20), ago(901)))) == ["canary_late"]


def test_report_of_long_ago_says_nothing_of_now() -> None:
    judged = judge(a_look(watched_seconds=60, dagster=replace(SICK, written_at=ago(9_000))))
    assert judged.problems == ()
    assert {"run_failed", "run_hangs", "check_failed", "asset_stale"} <= judged.unknown_kinds


def test_switched_off_tracking_is_no_problem() -> None:
    off = replace(POSTGRES, is_tracking=False, human_counts=USUAL, last_human_at=ago(80_000))
    dropped = Sent("an id", ago(20), ago(86_400), is_dropped=True)
    look = a_look(postgres=off, sent=dropped, published=Published(ago(100), ago(130), ago(80_000)))
    assert kinds(look) == []
    assert look.canary_age_seconds is None


def test_age_of_the_canary_begins_with_its_series() -> None:
    assert a_look(published=Unknown("nothing")).canary_age_seconds == 86_400
    assert a_look(sent=Sent("an id", ago(1), ago(60))).canary_age_seconds == 60
    assert a_look().canary_age_seconds == 150


def test_every_part_may_be_unknown() -> None:
    nothing = Unknown("nobody knows")
    look = a_look(spool=nothing, published=nothing, sent=nothing, dagster=nothing, postgres=nothing, ingest=nothing)
    assert set(kinds(look)) == {"postgres_away", "ingest_away"}


PARTS: dict[str, list[object]] = {
    "spool": [WELL.spool, Spool(5, 500, 0), Spool(5, 500, 2), Unknown("x")],
    "ingest": [WELL.ingest, Ingest(("x",)), Ingest((), None, None), Unknown("x")],
    "postgres": [WELL.postgres, replace(POSTGRES, rejected_count=1), Unknown("x")],
    "published": [WELL.published, OLD, Published(ago(10), ago(900)), Unknown("x")],
    "sent": [WELL.sent, Sent("i", ago(1), ago(9_999), is_dropped=True), Unknown("x")],
    "dagster": [WELL.dagster, SICK, Report(ago(999)), Unknown("x")],
    "watched_seconds": [0.0, 301.0, 86_400.0],
}


@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in PARTS.items()}))
def test_no_kind_is_both_a_problem_and_unknown(parts: dict[str, object]) -> None:
    judged = judge(a_look(**parts))
    there = {problem.kind for problem in judged.problems}
    assert there & judged.unknown_kinds == set()
    assert len({problem.key for problem in judged.problems}) == len(judged.problems)
    assert all("{" not in problem.sentence for problem in judged.problems)
    assert {cause for rule in RULES if rule.kind in there for cause in rule.behind} & there == set()
