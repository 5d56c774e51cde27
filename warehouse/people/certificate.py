"""What an erasure says it has done: what is kept of it, without an id, and what is printed. Nothing is done here."""

from collections.abc import Iterable, Sequence
from typing import Any

from warehouse.archive.address import is_s3
from warehouse.archive.store import LAKE
from warehouse.people.erasures import CHANGED, PENDING, Erasure
from warehouse.people.holdings import BY_TABLE, HOLDINGS, STAYS, STAYS_IN_BUCKET
from warehouse.people.search import LEFTOVERS, STORES, Found

SPOOL = "spool"
# what another engine made of events that it was given
MODELS = f"{LAKE}/models"
OUR_SCHEMAS = {"raw", "meta", "staging", "intermediate", "marts"}


def make_certificate(
    erasure: Erasure,
    rewritten: Sequence[dict[str, Any]],
    compacted_bytes: int,
    others: Iterable[Found],
    not_searched: Iterable[str],
    archive_address: str | None = None,
) -> dict[str, Any]:
    """Put together what was searched, what went from where, what was written anew, and what stays and why."""
    removed = {
        store: counts for store, counts in erasure.certificate.items() if store not in {PENDING, CHANGED} and counts
    }
    return {
        "erasure": erasure.id,
        "reason": erasure.reason,
        "searched": [*STORES, SPOOL],
        "rows": removed,
        "rewritten": list(rewritten),
        "compacted_byte_count": compacted_bytes,
        "stays": [*_stays(others, not_searched, archive_address)],
    }


def print_certificate(certificate: dict[str, Any], who: str, notes: Iterable[str] = ()) -> Iterable[str]:
    """Yield the lines for whoever ran the command: they may name the person, what is kept does not."""
    yield f"Certificate of erasure {certificate['erasure']}: {who} ({certificate['reason']})"
    yield from (f"  {one}" for one in notes)
    yield f"Searched, and nothing found: {', '.join(certificate['searched'])}"
    yield "Rows removed, or given a pseudonym:"
    for store, counts in sorted(certificate["rows"].items()):
        yield from (f"  {store}: {count:,} of {table}{_how(table)}" for table, count in sorted(counts.items()))
    yield f"Sealed files written anew: {len(certificate['rewritten'])}"
    for file in certificate["rewritten"]:
        told = f"{file['removed_row_count']:,} rows less, {file['byte_count']:,} bytes"
        yield f"  {file['old_path']} is now {file['path']}: {told}"
    yield f"The warehouse file was written anew: {certificate['compacted_byte_count']:,} bytes"
    yield "What stays, and why:"
    yield from (f"  {one['what']}: {one['why']}" for one in certificate["stays"])


def remedies(found: Iterable[Found]) -> list[str]:
    """Tell, by kinds of places, what to do about rows that were found after the removal."""
    return list(dict.fromkeys(_remedy(one) for one in found))


def _remedy(found: Found) -> str:
    if found.store == SPOOL:
        return f"{found.place}: {_remedy_of_spool(found.place)}"
    if found.place.startswith(MODELS):
        return f"{found.place}: build with FOOTFALL_ENGINE=spark, or remove {MODELS} where that is no longer used"
    if not _is_ours(found):
        return f"{found.place} ({found.store}) is not footfall's: remove the rows there, then run the command again"
    return "what came in since the removal began: run the command again; if it goes on, stop what sends it"


def _remedy_of_spool(name: str) -> str:
    if name.endswith(".spool"):
        return "the drainer takes it; run the command again then"
    return "it is damaged, and what could be read of it was saved: see what it holds, then remove it and run it again"


def _is_ours(found: Found) -> bool:
    if found.store == LEFTOVERS:
        return True
    first, _, rest = found.place.partition("/" if found.store == "archive" else ".")
    if found.store == "archive":
        return first in BY_TABLE or first in {"only-here", LAKE}
    if found.store == "Postgres":
        return first == "public" and rest.partition("_p2")[0] in BY_TABLE
    return first in OUR_SCHEMAS


def _how(table: str) -> str:
    return "" if all(one.action != "pseudonym" for one in HOLDINGS if one.table == table) else " under a pseudonym"


def _stays(
    others: Iterable[Found], not_searched: Iterable[str], archive_address: str | None
) -> Iterable[dict[str, str]]:
    for found in others:
        what = f"{found.count:,} rows of {found.place} ({found.store})"
        yield {"what": what, "why": "rows of other persons, into which an app wrote this one's id"}
    for name in not_searched:
        yield {"what": name, "why": f"it could not be let go or read in time: {_remedy_of_spool(name)}"}
    stays = (*STAYS, *STAYS_IN_BUCKET) if is_s3(archive_address) else STAYS
    yield from ({"what": what, "why": why} for what, why in stays)
