"""How dbt's models and tests appear in Dagster: names, groups, owners, checks. No SQL: that is `transforms/`."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

with warnings.catch_warnings():
    # dagster-dbt brings a parser that warns, at import, of a faster version of itself; nothing here parses with it
    warnings.filterwarnings("ignore", "sqlglotrs is deprecated", DeprecationWarning)
    from dagster_dbt import DagsterDbtTranslator, DbtProject
    from dagster_dbt.asset_utils import build_dbt_specs

from pipelines.freshness import OF_EACH_REFRESH

UNIQUE_ID = "dagster_dbt/unique_id"
SOURCE = "raw"
OWNERS = ("team:analytics",)

# what dagster-dbt keeps on each asset for itself; nobody reads it in the UI
_BOOKKEEPING = ("dagster_dbt/manifest", "dagster_dbt/dagster_dbt_translator", "dagster_dbt/project_id")


class FootfallTranslator(DagsterDbtTranslator):
    """A model's asset has the model's name, the group of its folder, and its YAML's first words as description."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return `raw/<table>` for a source, the model's name for a model."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([SOURCE, dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the folder: `fqn` is project, folder, model."""
        return str(dbt_resource_props["fqn"][1])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return what the YAML says, without the SQL that dagster-dbt would append."""
        return str(dbt_resource_props["description"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        """Return the owners that the YAML names (`meta.dagster.owners`), else the analysts."""
        return super().get_owners(dbt_resource_props) or OWNERS

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """Return the check of a data test, with a sentence that says what it holds to."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=_sentence(manifest["nodes"][unique_id]))


def model_specs(manifest: Mapping[str, Any]) -> tuple[list[dg.AssetSpec], list[dg.AssetCheckSpec]]:
    """Return one asset per model and one check per data test of dbt's manifest; `dagster_dbt/unique_id` is on both."""
    specs, checks = build_dbt_specs(
        translator=FootfallTranslator(),
        manifest=manifest,
        select="fqn:*",
        exclude="",
        selector="",
        io_manager_key=None,
        project=None,
    )
    return [_as_shown(spec) for spec in specs], list(checks)


def source_descriptions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what the YAML says of each raw table that the models may read."""
    sources = [source for source in manifest["sources"].values() if source["source_name"] == SOURCE]
    return {source["name"]: source["description"] for source in sources}


def _as_shown(spec: dg.AssetSpec) -> dg.AssetSpec:
    metadata = {name: value for name, value in spec.metadata.items() if name not in _BOOKKEEPING}
    return spec.replace_attributes(metadata=metadata, freshness_policy=OF_EACH_REFRESH)


def _sentence(test: Mapping[str, Any]) -> str:
    """Return what the test holds to: its YAML's words, else the rule and what it is about, else its name."""
    rule = test.get("test_metadata")
    if test["description"] or not rule:
        return str(test["description"] or test["name"].replace("_", " "))
    details = {name: value for name, value in rule["kwargs"].items() if name != "model"}
    about = details.pop("column_name", None)
    return f"`{about}`: {rule['name'].replace('_', ' ')}" if about else f"{rule['name'].replace('_', ' ')} {details}"
