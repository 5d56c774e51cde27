"""The models stay fit for Spark: its own macros, no word of SQL that it lacks. It is seen without Java, in seconds.

Each model and data test is compiled as dbt would for another adapter than DuckDB's, by the `default__` macros, from the
start and for touched days. What Spark lacks is told by the lists below; Spark itself runs them in `tests/spark`.
"""

import re
import warnings
from collections.abc import Callable, Iterator

import pytest
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import CompiledNode, ModelNode

from pipelines.spark.models import SPARK_TYPES
from tests.sql.conftest import TRANSFORMS, Models, messages

with warnings.catch_warnings():
    # it warns, at import, of a faster version of itself
    warnings.filterwarnings("ignore", "sqlglotrs is deprecated", DeprecationWarning)
    from sqlglot import Dialect, ErrorLevel, exp, parse, parse_one, transpile
    from sqlglot.errors import SqlglotError
    from sqlglot.parser import Parser

# what Spark has (SHOW FUNCTIONS) and our SQL uses; look there before you add to it
FUNCTIONS = {
    *("abs", "cast", "coalesce", "count", "date_format", "date_sub", "explode", "floor", "from_utc_timestamp"),
    *("greatest", "lead", "least", "max", "min", "nullif", "row_number", "sequence", "sum", "to_utc_timestamp"),
}
TYPES = {"bigint", "boolean", "date", "decimal", "double", "int", "string", "timestamp"}
# words before a parenthesis that are no functions
SYNTAX = {
    *(
        "all",
        "and",
        "as",
        "between",
        "by",
        "case",
        "else",
        "except",
        "exists",
        "filter",
        "from",
        "having",
        "in",
        "join",
    ),
    *("intersect", "not", "on", "or", "over", "select", "then", "union", "using", "values", "when", "where", "with"),
}
LACKING: dict[type[exp.Expr], str] = {
    exp.Qualify: "qualify",
    exp.JSONExtract: "->",
    exp.JSONExtractScalar: "->>",
    exp.Bracket: "[]",
    exp.Array: "[]",
}
MATERIALIZATIONS = {("view", None), ("table", None), ("incremental", "append"), ("incremental", "replace_days")}
TOUCHED_DAYS = "[" + ", ".join(f"modules.datetime.date(2024, {day})" for day in ("2, 28", "2, 29", "3, 31")) + "]"
STAND_INS = {
    "macro.footfall.touched_days": f"{{% macro touched_days(names) %}}{{{{ return({TOUCHED_DAYS}) }}}}{{% endmacro %}}",
    "macro.dbt.is_incremental": (
        "{% macro is_incremental() %}{{ return(model.config.materialized == 'incremental') }}{% endmacro %}"
    ),
}
# what the contracts' types are there
KINDS = {"BIGINT", "BINARY", "BOOLEAN", "DATE", "DECIMAL(4,1)", "INTEGER", "STRING", "TIMESTAMP"}
REPLACED = """
    {{{{ config(meta={{'touched': {{'tables': ['activity_events'], '{period}': '{period}_of_rows'}}}}) }}}}
    {{{{ get_incremental_replace_days_sql({{
        'target_relation': 'counted', 'temp_relation': 'found', 'dest_columns': [{{'name': '{period}_of_rows'}}],
    }}) }}}}
"""
NAMES = [path.stem for pattern in ("models/*/*.sql", "tests/*.sql") for path in sorted(TRANSFORMS.glob(pattern))]
Compiled = dict[str, str]


@pytest.fixture(scope="module")
def for_spark(manifest: Manifest, make_models: Callable[[], Models]) -> Compiled:
    """Models and data tests of our own from the start, by Spark's macros."""
    return compiled(make_models(), without_duckdb(manifest), "resource_type:model", "test_type:singular")


@pytest.fixture(scope="module")
def for_spark_by_days(manifest: Manifest, make_models: Callable[[], Models]) -> Compiled:
    """Everything for three touched days, by Spark's macros."""
    return compiled(make_models(), of_touched_days(without_duckdb(manifest)), "fqn:*")


@pytest.fixture(scope="module")
def for_duckdb_by_days(manifest: Manifest, make_models: Callable[[], Models]) -> Compiled:
    """Models and data tests of our own for three touched days, by DuckDB's macros."""
    copied: Manifest = manifest.deepcopy()  # type: ignore[no-untyped-call]
    return compiled(make_models(), of_touched_days(copied), "resource_type:model", "test_type:singular")


@pytest.mark.parametrize("name", NAMES)
def test_spark_has_all_that_it_uses(name: str, for_spark: Compiled) -> None:
    assert list(faults(for_spark[name])) == []


@pytest.mark.parametrize("name", NAMES)
def test_spark_has_what_touched_days_use(name: str, for_spark_by_days: Compiled) -> None:
    assert list(faults(for_spark_by_days[name])) == []


def test_spark_has_what_keys_and_values_use(for_spark_by_days: Compiled) -> None:
    checks = for_spark_by_days.keys() - set(NAMES)
    assert len(checks) > 20
    found = {name: list(faults(for_spark_by_days[name])) for name in checks}
    assert {name: lacking for name, lacking in found.items() if lacking} == {}


@pytest.mark.parametrize("name", NAMES)
def test_duckdb_sql_can_be_told_in_spark(name: str, for_duckdb_by_days: Compiled) -> None:
    level = ErrorLevel.RAISE
    [told] = transpile(
        for_duckdb_by_days[name], read="duckdb", write="spark", error_level=level, unsupported_level=level
    )
    assert [call.name for call in parse_one(told, read="spark").find_all(exp.Anonymous)] == []


def test_touched_days_are_really_compiled(for_spark: Compiled, for_spark_by_days: Compiled) -> None:
    name = "rpt_activity_by_day"
    assert "to_utc_timestamp('2024-03-30 21:00:00', 'UTC')" in for_spark_by_days[name]
    assert "2024" not in for_spark[name]


def test_every_macro_of_duckdb_has_one_for_others(manifest: Manifest) -> None:
    names = {macro.name for macro in manifest.macros.values() if macro.package_name == "footfall"}
    special = {name.removeprefix("duckdb__") for name in names if name.startswith("duckdb__")}
    assert special
    assert {name for name in special if f"default__{name}" not in names} == set()


def test_every_table_is_made_as_spark_can(manifest: Manifest) -> None:
    models = [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]
    made = {
        model.name: (
            model.config.materialized,
            model.config.incremental_strategy if model.config.materialized == "incremental" else None,
        )
        for model in models
    }
    assert {name: way for name, way in made.items() if way not in MATERIALIZATIONS} == {}


def test_every_type_of_the_contracts_has_one_in_spark(manifest: Manifest) -> None:
    """The YAML names DuckDB's types, some of which Spark would refuse."""
    declared = {
        str(column.data_type)
        for node in manifest.nodes.values()
        if isinstance(node, ModelNode)
        for column in node.columns.values()
    }
    assert {SPARK_TYPES.get(name, name) for name in declared} == KINDS


@pytest.mark.parametrize(("period", "literal"), [("day", "CAST('2024-03-31' AS DATE)"), ("month", "'2024-03'")])
def test_touched_periods_are_replaced_by_two_statements(
    manifest: Manifest, make_models: Callable[[], Models], period: str, literal: str
) -> None:
    """Each is SQL of others than DuckDB too; dbt-spark overwrites partitions instead."""
    models = Models(make_models().home, of_touched_days(without_duckdb(manifest)))
    query = in_ticks(models.compile(REPLACED.format(period=period)))
    deleting, inserting = [
        part.sql("spark") for part in parse(query, read="spark", error_level=ErrorLevel.RAISE) if part
    ]
    assert deleting.startswith("DELETE FROM counted WHERE ")
    assert literal in deleting
    assert inserting == f"INSERT INTO counted (`{period}_of_rows`) SELECT `{period}_of_rows` FROM found"
    assert list(faults_of_words(deleting)) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("select arg_max(a, b) from t", "arg_max()"),
        ("select strftime(a, '%Y') from t", "strftime()"),
        ("select list(a) from t", "list()"),
        ("select cast(a as timestamptz) from t", "timestamptz"),
        ("select cast(a as uuid) from t", "uuid"),
        ("select cast(a as varchar) from t", "varchar"),
        ("select a::int from t", "::"),
        ("select a ->> '$.b' from t", "->>"),
        ("select a[1] from t", "[]"),
        ("select * exclude (a) from t", "* except"),
        ("select distinct on (a) a, b from t", "distinct on"),
        ("select a from t qualify row_number() over (partition by a order by b) = 1", "qualify"),
        ("select a // 2 from t", "//"),
        ("select a from t asof join u on t.a >= u.a", "asof"),
        ("select a from (t", "not SQL"),
    ],
)
def test_what_spark_lacks_is_seen(query: str, fault: str) -> None:
    assert [found for found in faults(query) if found.startswith(fault)] != []


def in_ticks(query: str) -> str:
    """Quote names as Spark does: the adapter that compiles is DuckDB's."""
    return re.sub(r'"(\w+)"', r"`\1`", query)


def faults(query: str) -> Iterator[str]:
    """Name what Spark would not understand of a query."""
    query = in_ticks(query)
    yield from faults_of_words(query)
    try:
        tree = parse_one(query, read="spark", error_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        yield f"not SQL: {error}"
        return
    yield from (LACKING[type(node)] for node in tree.walk() if type(node) in LACKING)
    if any(star.args.get("except_") or star.args.get("replace") for star in tree.find_all(exp.Star)):
        yield "* except"
    if any(distinct.args.get("on") for distinct in tree.find_all(exp.Distinct)):
        yield "distinct on"


def faults_of_words(query: str) -> Iterator[str]:
    """Look at the words as they are written: the parser knows functions and types of all dialects."""
    tokens = Dialect.get_or_raise("spark").tokenize(query)
    words = [token.text.lower() for token in tokens]
    for token, before, word, after in zip(tokens, ["", *words], words, [*words[1:], ""], strict=False):
        if word in {"::", "asof"}:
            yield word
        if before == word == "/":
            yield "//"
        if after == "(" and word.isidentifier() and word not in FUNCTIONS | TYPES | SYNTAX:
            yield f"{word}()"
        if before == "as" and after == ")" and token.token_type in Parser.TYPE_TOKENS and word not in TYPES:
            yield word


def without_duckdb(manifest: Manifest) -> Manifest:
    """Return the project as an adapter sees it that has no macros of its own in it."""
    portable: Manifest = manifest.deepcopy()  # type: ignore[no-untyped-call]
    for unique_id in [key for key in portable.macros if key.startswith("macro.footfall.duckdb__")]:
        del portable.macros[unique_id]
    return portable


def of_touched_days(manifest: Manifest) -> Manifest:
    """Change the project so that everything incremental was built before, and has three days with new rows."""
    for unique_id, text in STAND_INS.items():
        manifest.macros[unique_id].macro_sql = text
    return manifest


def compiled(models: Models, manifest: Manifest, *selected: str) -> Compiled:
    """Compile on an empty warehouse what dbt's selectors name."""
    result = Models(models.home, manifest).dbt("compile", "--select", *selected)
    assert isinstance(result.result, RunExecutionResult), result.exception
    assert result.success, messages(result)
    nodes = [run.node for run in result.result.results]
    return {node.name: str(node.compiled_code) for node in nodes if isinstance(node, CompiledNode)}
