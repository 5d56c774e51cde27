"""What the UI tells of every asset and no asset's own module needs to know: where it is defined, and its columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.assets.archive import sealed_days
from pipelines.assets.publish import KEY as PUBLISHED
from pipelines.columns import POSTGRES, column_metadata, of_several
from pipelines.dbt_project import ParsedProject
from pipelines.definition_files import function_definition, model_definition, postgres_definitions, raw_definitions
from pipelines.translator import SOURCE, UNIQUE_ID
from warehouse.tables import EVENT_TABLES

Asset = dg.AssetsDefinition | dg.AssetSpec


def explained(assets: Sequence[Asset], project: ParsedProject, manifest: Mapping[str, Any]) -> list[Asset]:
    """Return the same assets, each with its definition, columns and lineage; `manifest` is the project's."""
    metadata: dict[dg.AssetKey, dict[str, Any]] = {}
    columns = column_metadata(manifest, project.lineage())
    for group, definitions in ((POSTGRES, postgres_definitions()), (SOURCE, raw_definitions())):
        metadata |= {dg.AssetKey([group, name]): definition for name, definition in definitions.items()}
    for spec in _specs(assets):
        if node_id := spec.metadata.get(UNIQUE_ID):
            metadata[spec.key] = model_definition(project.transforms, manifest["nodes"][node_id])
    marts = sorted(spec.key for spec in _specs(assets) if spec.group_name == "marts")
    columns[PUBLISHED] = of_several(columns, marts)
    columns[sealed_days.key] = of_several(columns, [dg.AssetKey([SOURCE, table]) for table in EVENT_TABLES])
    return [_with(asset, metadata, columns) for asset in assets]


def _specs(assets: Sequence[Asset]) -> Iterator[dg.AssetSpec]:
    for asset in assets:
        yield from [asset] if isinstance(asset, dg.AssetSpec) else asset.specs


def _with(
    asset: Asset, definitions: Mapping[dg.AssetKey, Mapping[str, Any]], columns: Mapping[dg.AssetKey, Mapping[str, Any]]
) -> Asset:
    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        found = definitions.get(spec.key) or by_function
        return spec.merge_attributes(metadata={**found, **columns.get(spec.key, {})})

    by_function: Mapping[str, Any] = {}
    if isinstance(asset, dg.AssetSpec):
        return told(asset)
    if not all(key in definitions for key in asset.keys):
        by_function = function_definition(asset)
    return asset.map_asset_specs(told)
