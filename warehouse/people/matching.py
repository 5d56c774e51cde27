"""Which rows are a person's: as SQL for a known table, for any table by its columns, and for a record in Python.

The same words do for Postgres and DuckDB but where a text is searched. No rows are read here.
"""

import json
import re
from collections.abc import Mapping
from typing import Literal

from warehouse.connection import literal
from warehouse.people.holdings import HOLDINGS, Holding, Names
from warehouse.people.subject import Person

Engine = Literal["postgres", "duckdb"]
NOBODY = "false"
# counted apart too: whoever reads it sees how many rows go for their session alone
NOBODYS = "tracking_events, namely rows without a user id in sessions of this person"
IDS = {"user", "account", "id text"}
# of these kinds of records `id` is the person's, and `user_id` an account
ID_OF_KIND: Mapping[str, Mapping[str, Names]] = {
    # its account is a link, and several users may have it
    "users": {"id": "user"},
    "accounts": {"id": "account"},
    "activity": {"user_id": "account"},
    "heartbeat": {"user_id": "account"},
}
JSON_TEXTS = {"answer", "body", "detail", "meta"}
# files keep a uuid as its sixteen bytes
ID_TYPES: Mapping[str, Names] = {
    **dict.fromkeys(("bigint", "integer", "hugeint"), "user"),
    **dict.fromkeys(("uuid", "blob"), "account"),
    **dict.fromkeys(("text", "varchar", "character varying", "character"), "id text"),
}


def holding_conditions(person: Person, engine: Engine) -> dict[str, str]:
    """Write for each table with rows of persons which are this one's; `false` where none can be."""
    return {holding.table: holding_condition(holding, person, engine) for holding in HOLDINGS if holding.columns}


def holding_condition(holding: Holding, person: Person, engine: Engine) -> str:
    """Write it for one table."""
    known = {column: names for column, names in holding.columns.items() if names not in {"link", "record"}}
    return condition(known, person, engine)


def condition(columns: Mapping[str, Names], person: Person, engine: Engine) -> str:
    """Write which rows are the person's, by columns that name one; an id in them goes before a session or a text."""
    ids = [column for column, names in columns.items() if names in IDS]
    by_id = [one for column in ids if (one := _by_id(column, columns[column], person))]
    loose = [_loosely(column, names, person, engine) for column, names in columns.items() if column not in ids]
    found = [one for one in loose if one]
    if found and ids:
        nobodys = " AND ".join(f"{column} IS NULL" for column in ids)
        found = [f"({nobodys} AND ({' OR '.join(found)}))"]
    return " OR ".join([*by_id, *found]) or NOBODY


def others_condition(columns: Mapping[str, Names], person: Person, engine: Engine) -> str:
    """Write which rows name the person in a JSON text alone, and are somebody else's by their ids."""
    ids = [column for column, names in columns.items() if names in IDS]
    texts = [_loosely(column, names, person, engine) for column, names in columns.items() if names == "json"]
    if not ids or not texts:
        return NOBODY
    theirs = " OR ".join(one for column in ids if (one := _by_id(column, columns[column], person))) or NOBODY
    somebodys = " OR ".join(f"{column} IS NOT NULL" for column in ids)
    return f"({somebodys}) AND NOT coalesce({theirs}, false) AND ({' OR '.join(filter(None, texts))})"


def naming_columns(table: str, columns: Mapping[str, str]) -> dict[str, Names]:
    """Tell of any table, by names and types of its columns, which can name a person: of Postgres, DuckDB or a file."""
    found: dict[str, Names] = {}
    for column, kind in columns.items():
        if names := _named_by(table, column, kind.lower()):
            found[column] = names
    return found


def record_names(person: Person, kind: str, record: object) -> bool:
    """Tell whether a record of a kind is the person's: by its own id, else by its session or `meta`."""
    if not isinstance(record, Mapping):
        return False
    keys = ID_OF_KIND.get(kind, {"user_id": "user"})
    ids = {column: str(record[column]).lower() for column in keys if record.get(column) is not None}
    if ids:
        return any(value == _id(keys[column], person) for column, value in ids.items())
    return record.get("session_id") in person.session_ids or bool(json_pattern(person).search(json.dumps(record)))


def body_names(person: Person, kind: str, body: str) -> bool:
    """Tell it of a record's text; of one that is no JSON by any of the person's ids as a word of it."""
    try:
        return record_names(person, kind, json.loads(body))
    except ValueError:
        return bool(re.search(rf"(?<![\w-])({'|'.join(_words(person))})(?![\w-])", body))


def json_pattern(person: Person) -> re.Pattern[str]:
    """Compile what finds a key of a person's with the person's id behind it."""
    return re.compile(keys_pattern(person))


def _named_by(table: str, column: str, kind: str) -> Names | None:
    if column in {"user_id", "account_id"} or (column == "id" and table.endswith(("users", "accounts"))):
        return ID_TYPES.get(kind)
    if column == "session_id":
        return "session"
    is_text = kind in {"json", "jsonb"} or column in JSON_TEXTS
    return "json" if is_text else None


def nobodys_in_sessions(person: Person, engine: Engine) -> str:
    """Write which rows of `tracking_events` are the person's for their session: they have no user id."""
    by_session = _loosely("session_id", "session", person, engine)
    return f"user_id IS NULL AND {by_session}" if by_session else NOBODY


def _by_id(column: str, names: Names, person: Person) -> str:
    if names == "id text":
        # of a table that is not ours
        listed = ", ".join(literal(word) for kind in ("user", "account") if (word := _id(kind, person)))
        return f"lower({column}) IN ({listed})" if listed else ""
    if names == "user":
        return f"{column} = {person.user_id}" if person.user_id is not None else ""
    return f"CAST({column} AS UUID) = CAST('{person.account_id}' AS UUID)" if person.account_id else ""


def _loosely(column: str, names: Names, person: Person, engine: Engine) -> str:
    if names == "session":
        listed = ", ".join(map(literal, person.session_ids))
        return f"{column} IN ({listed})" if listed else ""
    pattern = keys_pattern(person) if names == "json" else words_pattern(person)
    if engine == "duckdb":
        # most texts have no such key, and to see that costs a tenth
        return f"(contains({column}, '_id\"') AND regexp_matches({column}, {literal(pattern)}))"
    return f"{column}::text ~ {literal(pattern)}"


def words_pattern(person: Person) -> str:
    """Write what finds the person in a sentence of the audit log."""
    return rf"(user|account) ({'|'.join(_words(person))})($|[^0-9a-fA-F-])"


def keys_pattern(person: Person) -> str:
    """Write what finds a key of JSON with the person's id behind it, in Postgres, DuckDB and Python."""
    return rf'"(user_id|account_id)":\s*"?({"|".join(_words(person))})"?\s*([,}}])'


def _words(person: Person) -> list[str]:
    """Write patterns of the ids; a uuid is the same in capital letters."""
    words = [word for names in ("user", "account") if (word := _id(names, person))]
    return [re.sub("[a-f]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", word) for word in words]


def _id(names: str, person: Person) -> str | None:
    found = person.user_id if names == "user" else person.account_id
    return None if found is None else str(found)
