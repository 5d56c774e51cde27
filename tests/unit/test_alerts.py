"""Who is told what and when: opened once, repeated twice a day, resolved once, and nothing said that is not known."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from footfall.watch.alerts import Alert, News, advance, open_counts
from footfall.watch.problems import Judgement, Problem
from tests.unit.looks import NOW

# told at once, and after two looks
SURE, FLAPPING = Problem("run_failed", "seal", "the job seal failed"), Problem("postgres_away", "", "it is away")
NOTHING = Judgement((), frozenset())
UNKNOWN = Judgement((), frozenset({"run_failed", "postgres_away"}))


def there(*problems: Problem) -> Judgement:
    return Judgement(problems, frozenset())


def follow(*judgements: Judgement, minutes: int = 1) -> tuple[list[Alert], list[str]]:
    """Go through looks, one a minute, and return what is open and what was told in each."""
    alerts: list[Alert] = []
    said = []
    for number, judgement in enumerate(judgements):
        alerts, news = advance(alerts, judgement, NOW + number * timedelta(minutes=minutes))
        said.append(" ".join(f"{one.change} {one.alert.kind}" for one in news))
    return alerts, said


def test_problem_is_told_once_and_resolved_once() -> None:
    _, said = follow(there(SURE), there(SURE), there(SURE), NOTHING, NOTHING)
    assert said == ["open run_failed", "", "", "resolved run_failed", ""]


def test_flapping_problem_is_told_after_two_looks() -> None:
    _, said = follow(
        there(FLAPPING), NOTHING, there(FLAPPING), there(FLAPPING), NOTHING, there(FLAPPING), NOTHING, NOTHING
    )
    assert said == ["", "", "", "open postgres_away", "", "", "", "resolved postgres_away"]


def test_open_alert_is_repeated_after_twelve_hours() -> None:
    _, said = follow(*[there(SURE)] * 6, minutes=6 * 60)
    assert said == ["open run_failed", "", "still open run_failed", "", "still open run_failed", ""]


def test_what_is_unknown_neither_opens_nor_resolves() -> None:
    alerts, said = follow(there(SURE), UNKNOWN, UNKNOWN, NOTHING)
    assert said == ["open run_failed", "", "", "resolved run_failed"]
    assert alerts == []
    _, said = follow(there(FLAPPING), UNKNOWN, there(FLAPPING))
    assert said == ["", "", "open postgres_away"]


def test_same_kind_of_another_subject_is_another_alert() -> None:
    other = Problem("run_failed", "expire", "the job expire failed")
    alerts, said = follow(there(SURE), there(SURE, other), there(other))
    assert said == ["open run_failed", "open run_failed", "resolved run_failed"]
    assert open_counts(alerts, ["run_failed", "disk_full"]) == {"run_failed": 1, "disk_full": 0}


def test_news_say_how_long_and_what_to_do() -> None:
    alert = Alert("run_failed", "seal", "the job seal failed", NOW, NOW)
    later = NOW + timedelta(hours=13)
    assert str(News("open", alert, NOW)) == "open: run_failed: the job seal failed -> docs/operations.md#run_failed"
    assert "still open: run_failed, for 13 h: " in str(News("still open", alert, later))
    assert str(News("resolved", alert, later)).startswith("resolved: run_failed after 13 h")


def test_alert_of_an_unknown_kind_resolves() -> None:
    alerts, news = advance([Alert("of_an_older_footfall", "", "x", NOW, NOW)], NOTHING, NOW)
    assert (alerts, [one.change for one in news]) == ([], ["resolved"])


subjects = st.sampled_from([SURE, FLAPPING, Problem("run_failed", "expire", "x")])
judgements = st.one_of(st.just(UNKNOWN), st.sets(subjects).map(lambda found: there(*sorted(found, key=str))))


@given(st.lists(judgements, max_size=40), st.integers(1, 500))
def test_each_alert_is_opened_then_resolved_in_turn(looks: list[Judgement], minutes: int) -> None:
    alerts: list[Alert] = []
    last: dict[tuple[str, str], str] = {}
    for number, judgement in enumerate(looks):
        now = NOW + number * timedelta(minutes=minutes)
        alerts, news = advance(alerts, judgement, now)
        for one in news:
            is_first = last.get(one.alert.key, "resolved") == "resolved"
            assert (one.change == "open") is is_first
            assert judgement is not UNKNOWN
            last[one.alert.key] = one.change
        told = {alert.key for alert in alerts if alert.told_at}
        assert told == {key for key, change in last.items() if change != "resolved"}
