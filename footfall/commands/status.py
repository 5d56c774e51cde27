"""`footfall status`."""

from typing import Annotated

import typer

from footfall.commands.options import Home


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, whose names do not change.")] = False,
    home: Home = None,
) -> None:
    """Show on one screen how things stand: rates, what waits, lags, last refresh, days, disk, open alerts."""
    import json

    from footfall.settings import read_settings
    from footfall.watch.book import is_watched, read_alerts
    from footfall.watch.lags import Lookout
    from footfall.watch.screen import screen
    from footfall.watch.settings import load_watch_settings
    from footfall.watch.status import Status, count_sealed_days

    settings = read_settings(home)
    look = Lookout(settings, load_watch_settings().ingest_url).look()
    alerts, _ = read_alerts(settings.home)
    told = tuple(alert for alert in alerts if alert.told_at)
    found = Status(look, count_sealed_days(settings), told, is_watched(settings.home))
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else screen(found))
