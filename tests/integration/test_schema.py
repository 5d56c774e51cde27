import psycopg


def test_required_settings_are_seeded(database: psycopg.Connection) -> None:
    rows = dict(database.execute("SELECT setting_key, setting_value FROM admin_settings").fetchall())
    assert rows == {
        "tracking_enabled": "1",
        "points_enabled": "1",
        "live_session_timeout_minutes": "5",
        "archive_after_days": "90",
        "points_per_credit": "100",
    }
