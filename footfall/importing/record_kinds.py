"""Which kinds of records come in files. Their fields are `ingest_app`'s; this is light to import."""

from enum import StrEnum


class RecordKind(StrEnum):
    """What can be imported as records: what has happened, and what is; heartbeats are about now."""

    activity = "activity"
    events = "events"
    documents = "documents"
    accounts = "accounts"
    organizations = "organizations"
    subscriptions = "subscriptions"
    users = "users"
