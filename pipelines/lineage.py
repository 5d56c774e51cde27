"""Of which columns each column of a model is made: read off its compiled SQL, no table is opened. No Dagster here.

dagster-dbt does the same at each run, and takes the types from the tables; here it is done once for all models when
the project is parsed, by the columns that their YAML declares. A count of rows is made of no column: it is drawn from
the first one, the key, of the table whose rows it counts.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

with warnings.catch_warnings():
    # of a faster version of itself, which dagster-dbt brings
    warnings.filterwarnings("ignore", "sqlglotrs is deprecated", DeprecationWarning)
    import sqlglot
    from sqlglot import MappingSchema, exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import Node, lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import Scope, build_scope

DIALECT = "duckdb"

Lineage = dict[str, dict[str, list[tuple[str, str]]]]
"""A model's unique id, its column, and what that is made of: (unique id of a model or source, its column)."""
Relations = dict[tuple[str, str], str]
"""Schema and name to unique id."""


def column_lineage(manifest: Mapping[str, Any], compiled: Mapping[str, str]) -> Lineage:
    """Return the lineage of every model in `compiled`, its SQL by unique id.

    A column made of none has an empty list; a model whose SQL cannot be read is left out.
    """
    relations = dict(_relations(manifest, compiled))
    nodes = {**manifest["sources"], **manifest["nodes"]}
    schema = MappingSchema(dialect=DIALECT)
    for (folder, name), unique_id in relations.items():
        types = {column: told["data_type"] or "VARCHAR" for column, told in nodes[unique_id]["columns"].items()}
        schema.add_table(exp.table_(name, db=folder, catalog=nodes[unique_id]["database"], quoted=True), types)
    found: Lineage = {}
    for unique_id, sql in compiled.items():
        try:
            found[unique_id] = dict(_of_columns(sql, schema, relations))
        except SqlglotError:
            # a model that only its engine can read is built all the same
            continue
    return found


def _relations(manifest: Mapping[str, Any], models: Iterable[str]) -> Iterator[tuple[tuple[str, str], str]]:
    for unique_id, source in manifest["sources"].items():
        yield (source["schema"], source["name"]), unique_id
        # the rows of it that are not sealed yet
        yield (source["source_name"], source["name"]), unique_id
    for unique_id in models:
        model = manifest["nodes"][unique_id]
        yield (model["schema"], model["name"]), unique_id


def _of_columns(sql: str, schema: MappingSchema, relations: Relations) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    tree = qualify(sqlglot.parse_one(sql, dialect=DIALECT), schema=schema, dialect=DIALECT)
    root = build_scope(tree)
    if not isinstance(tree, exp.Query) or root is None:
        return
    for scope in root.traverse():
        _count_by_key(scope, schema)
    for column in tree.named_selects:
        nodes = lineage(column, tree, schema=schema, dialect=DIALECT, scope=root, copy=False).walk()
        yield column, sorted({origin for node in nodes if (origin := _origin(node, relations))})


def _count_by_key(scope: Scope, schema: MappingSchema) -> None:
    """Make every count(*) one of the first column of what is selected from."""
    start = scope.expression.args.get("from_")
    name = start.alias_or_name if start else ""
    if key := _first_column(scope.sources.get(name), schema):
        for count in list(scope.find_all(exp.Count)):
            if isinstance(count.this, exp.Star):
                count.set("this", exp.column(key, table=name, quoted=True))


def _first_column(source: exp.Table | Scope | None, schema: MappingSchema) -> str | None:
    if isinstance(source, Scope):
        columns = source.expression.named_selects if isinstance(source.expression, exp.Query) else []
    else:
        columns = schema.column_names(source) if source else []
    return next(iter(columns), None)


def _origin(node: Node, relations: Relations) -> tuple[str, str] | None:
    """Return the column of a table that a leaf of the lineage is; what stands in between is none."""
    table = None if node.downstream else node.expression.find(exp.Table)
    unique_id = relations.get((table.db, table.name)) if table else None
    return (unique_id, exp.to_column(node.name).name) if unique_id else None
