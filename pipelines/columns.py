"""Which columns each asset has and what these are made of, as Dagster shows them. Read off dbt's manifest, no table.

What a column of Postgres and of the raw table of its name means, the staging model says that passes it on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.lineage import Lineage
from pipelines.translator import FootfallTranslator
from warehouse.columns import declared_columns

POSTGRES = "postgres"
XID = "The transaction that wrote the row last: by it a load knows what is new."
# but of a word of the model's own, the time of the load, or what the warehouse notes of files and loads
OF_NO_COLUMN = "no column of another asset"
_NEVER_NULL, _UNIQUE = {"not_null", "primary_key"}, {"unique", "primary_key"}

Node = Mapping[str, Any]
Meanings = Mapping[tuple[str, str], str]
Metadata = Mapping[str, Any]
Origins = Mapping[str, Iterable[tuple[dg.AssetKey, str]]]
"""Column to the columns that it is made of."""


def column_metadata(manifest: Node, lineage: Lineage) -> dict[dg.AssetKey, Metadata]:
    """Return the columns of each table of Postgres, raw table and model; of the last two also what they are made of."""
    translator = FootfallTranslator()
    nodes = {**manifest["sources"], **manifest["nodes"]}
    keys = {node_id: translator.get_asset_key(node) for node_id, node in nodes.items()}
    meanings, rules = _meanings(manifest, lineage), _rules(manifest)
    found: dict[dg.AssetKey, Metadata] = {}
    for source_id, source in manifest["sources"].items():
        postgres = dg.AssetKey([POSTGRES, source["name"]])
        columns = [_source_column(source_id, column, meanings) for column in source["columns"].values()]
        found[postgres] = _metadata(columns)
        found[keys[source_id]] = _copied(columns, postgres, declared_columns()[source["name"]])
    for node_id in (node_id for node_id, node in manifest["nodes"].items() if node["resource_type"] == "model"):
        made_of = lineage.get(node_id, {})
        origins = {name: [(keys[node], column) for node, column in of] for name, of in made_of.items()}
        columns = [
            _model_column(column, rules.get((node_id, name), set()), origins.get(name))
            for name, column in manifest["nodes"][node_id]["columns"].items()
        ]
        found[keys[node_id]] = _metadata(columns, origins)
    return found


def of_several(tables: Mapping[dg.AssetKey, Metadata], keys: Iterable[dg.AssetKey]) -> Metadata:
    """Return the columns of an asset that holds several of the tables, each as `table.column`."""
    columns: list[dg.TableColumn] = []
    origins: dict[str, list[tuple[dg.AssetKey, str]]] = {}
    for key in keys:
        for column in tables[key]["dagster/column_schema"].columns:
            name = f"{key.path[-1]}.{column.name}"
            columns.append(dg.TableColumn(name, column.type, column.description, column.constraints))
            origins[name] = [(key, column.name)]
    return _metadata(columns, origins)


def _copied(columns: Iterable[dg.TableColumn], origin: dg.AssetKey, types: Mapping[str, str]) -> Metadata:
    copies = [dg.TableColumn(c.name, types[c.name], c.description, c.constraints) for c in columns]
    return _metadata(copies, {copy.name: [(origin, copy.name)] for copy in copies})


def _metadata(columns: Iterable[dg.TableColumn], origins: Origins | None = None) -> Metadata:
    found: dict[str, Any] = {"dagster/column_schema": dg.TableSchema(columns=list(columns))}
    if origins:
        found["dagster/column_lineage"] = dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(asset_key=key, column_name=column) for key, column in made_of]
                for name, made_of in origins.items()
            }
        )
    return found


def _source_column(source_id: str, column: Node, meanings: Meanings) -> dg.TableColumn:
    return dg.TableColumn(
        column["name"],
        column["data_type"],
        column["description"] or meanings.get((source_id, column["name"])),
        dg.TableColumnConstraints(nullable=not column["constraints"]),
    )


def _model_column(column: Node, rules: set[str], made_of: Sequence[tuple[dg.AssetKey, str]] | None) -> dg.TableColumn:
    """Describe a column in its YAML's words and by what it is made of: the open-source UI shows no column lineage.

    Of a model whose SQL cannot be read that is not known.
    """
    origin = ", ".join(f"`{key.path[-1]}.{name}`" for key, name in made_of or ()) or OF_NO_COLUMN
    origin = "" if made_of is None else f"\n\nFrom {origin}."
    constraints = {constraint["type"] for constraint in column["constraints"]} | rules
    return dg.TableColumn(
        column["name"],
        column["data_type"],
        f"{column['description']}{origin}",
        dg.TableColumnConstraints(nullable=not constraints & _NEVER_NULL, unique=bool(constraints & _UNIQUE)),
    )


def _meanings(manifest: Node, lineage: Lineage) -> dict[tuple[str, str], str]:
    """Say what a source's column means: in the words of the staging column of its name, or the first made of it."""
    found = {(source_id, "xid"): XID for source_id in manifest["sources"]}
    for node_id, origins in lineage.items():
        if manifest["nodes"][node_id]["schema"] != "staging":
            continue
        for name, made_of in sorted(origins.items(), key=_is_renamed):
            meaning = manifest["nodes"][node_id]["columns"][name]["description"]
            if len(made_of) == 1:
                found.setdefault((made_of[0][0], made_of[0][1]), meaning)
    return found


def _rules(manifest: Node) -> dict[tuple[str, str], set[str]]:
    """Return the names of the generic tests that each column of a model has to pass."""
    found: dict[tuple[str, str], set[str]] = {}
    for node in manifest["nodes"].values():
        if rule := node.get("test_metadata"):
            found.setdefault((node["attached_node"], node["column_name"]), set()).add(rule["name"])
    return found


def _is_renamed(column: tuple[str, list[tuple[str, str]]]) -> bool:
    name, made_of = column
    return name not in (origin for _, origin in made_of)
