import io
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from footfall.demo.charts import bar, columns
from footfall.demo.errors import NothingPublished
from footfall.demo.post import SentCounts
from footfall.demo.summary import print_summary

MARTS = """
CREATE SCHEMA marts;
CREATE TABLE marts.rpt_daily_activity AS
    SELECT DATE '2026-03-01' + day::INTEGER AS activity_date, 1000 * day AS login_count, day AS app_open_count,
        0::BIGINT AS action_count
    FROM range(10) AS days (day);
CREATE TABLE marts.rpt_plan_distribution AS
    SELECT * FROM (VALUES ('School', 3::BIGINT, 75.0::DECIMAL(4, 1)), (NULL, 1::BIGINT, 25.0::DECIMAL(4, 1)))
        AS plans (plan, subscription_count, subscription_percent);
CREATE TABLE marts.rpt_document_opens AS
    SELECT 'DViz' AS app_name, 'Grade 6' AS level_name, 'Angles' AS chapter_name,
        'Document ' || nth AS document_name, 10 * nth AS open_count
    FROM range(1, 21) AS documents (nth);
CREATE TABLE marts.rpt_event_usage_daily AS
    SELECT DATE '2026-03-01' + day::INTEGER AS event_date, app_name, country_code, 1234::BIGINT AS event_count
    FROM range(20) AS days (day),
        unnest(['DViz', 'SpeechToCode']) AS apps (app_name),
        unnest(['DE', 'IN', 'GB', 'US', 'BR', NULL]) AS countries (country_code);
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(MARTS)
    return path


def printed(published: Path, sent: SentCounts) -> str:
    file = io.StringIO()
    print_summary(Console(file=file, width=80), published, sent)
    return file.getvalue()


def a_sent(**counts: int) -> SentCounts:
    sent = SentCounts()
    for kind, count in counts.items():
        sent.note(f"POST /api/{kind}", count, 0)
    return sent


@pytest.mark.parametrize("events_a_day", [0, 7, 999_999])
def test_summary_fits_eighty_columns_uncut(published: Path, events_a_day: int) -> None:
    with duckdb.connect(str(published)) as connection:
        connection.execute("UPDATE marts.rpt_event_usage_daily SET event_count = ?", [events_a_day])
    text = printed(published, a_sent(events=12_345_678))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_names_that_are_too_long_are_cut(published: Path) -> None:
    with duckdb.connect(str(published)) as connection:
        connection.execute("UPDATE marts.rpt_document_opens SET document_name = repeat('long ', 40), level_name = 'x'")
        connection.execute("UPDATE marts.rpt_event_usage_daily SET app_name = repeat('long', 10) || app_name")
    text = printed(published, SentCounts())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "longlonglongl…" in text


def test_summary_counts_what_was_sent(published: Path) -> None:
    sent = a_sent(events=12_345, documents=5)
    sent.note("POST /api/track-visit", 0, 1, "bot")
    lines = [line.split() for line in printed(published, sent).splitlines()]
    assert ["POST", "/api/events", "12,345", "12,345", "-"] in lines
    assert ["POST", "/api/track-visit", "1", "-", "1", "bot"] in lines
    assert ["all", "12,351", "12,350", "1"] in lines


def test_summary_shows_the_newest_seven_days(published: Path) -> None:
    text = printed(published, SentCounts())
    assert [day for day in range(1, 11) if f"{day:02} Mar" in text] == [4, 5, 6, 7, 8, 9, 10]


def test_summary_shows_the_documents_opened_most(published: Path) -> None:
    text = printed(published, SentCounts())
    assert [nth for nth in range(1, 21) if f"Document {nth} " in text] == [14, 15, 16, 17, 18, 19, 20]


def test_countries_of_an_app_add_up_to_its_events(published: Path) -> None:
    line = next(line for line in printed(published, SentCounts()).splitlines() if line.startswith("DViz"))
    total, *countries = (int(cell.replace(",", "")) for cell in line.split()[2:])
    assert total == sum(countries) == 20 * 6 * 1_234


def test_summary_without_published_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="run `footfall refresh`"):
        print_summary(Console(file=io.StringIO()), tmp_path / "analytics.duckdb", SentCounts())


def test_counts_of_two_acts_add_up() -> None:
    both = a_sent(events=2) + a_sent(events=3, documents=1)
    assert both.sent == Counter({"POST /api/events": 5, "POST /api/documents": 1})


@pytest.mark.parametrize(("value", "drawn"), [(0, ""), (8, "████"), (1, "▌"), (3, "█▌")])
def test_bar_is_as_long_as_its_value(value: int, drawn: str) -> None:
    assert bar(value, largest=8, width=4) == drawn


@pytest.mark.parametrize(("values", "drawn"), [([], ""), ([0, 0], "▁▁"), ([0, 7, 14], "▁▅█")])
def test_columns_are_as_high_as_their_values(values: list[int], drawn: str) -> None:
    assert columns(values) == drawn
