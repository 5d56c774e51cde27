"""When an event happened: the client's word within bounds, else the time of receipt, and the row says so."""

from datetime import datetime, timedelta

FUTURE_TOLERANCE = timedelta(minutes=5)


def settle(
    created_at: datetime | None,
    sent_at: datetime | None,
    received_at: datetime,
    oldest: datetime | None,
) -> tuple[datetime, bool]:
    """Return the event's time and whether it was adjusted (DESIGN section 4).

    `sent_at` is the client's clock at sending: the difference to `received_at` is its error and is taken
    off. `oldest` is the archive horizon, None for those who may state any past time.
    """
    if created_at is None:
        return received_at, False
    if sent_at is not None:
        try:
            created_at = received_at - (sent_at - created_at)
        except OverflowError:
            return received_at, True
    too_new = created_at > received_at + FUTURE_TOLERANCE
    too_old = oldest is not None and created_at < oldest
    return (received_at, True) if too_new or too_old else (created_at, False)
