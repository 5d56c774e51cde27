"""`make docs`: dbt's own site of the models with their lineage, and the printed data dictionary. No models here.

All models are built once on tables without a row, in a home folder that is thrown away: neither needs a footfall that
runs, nor Postgres. How the dictionary reads is `pipelines.data_dictionary`.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.data_dictionary import data_dictionary
from pipelines.dbt_project import build_empty, make_site, parse
from pipelines.settings import adopt
from warehouse.archive.sources import prepare_sources
from warehouse.builds import begin_build, finish_build
from warehouse.publish import publish

DOCS = Path(__file__).parents[1] / "docs"
# git ignores it
SITE = DOCS / "site" / "index.html"
DICTIONARY = DOCS / "data-dictionary.md"


@dataclass(frozen=True)
class ModelDocs:
    """The site, one page of HTML that needs no other file, and the dictionary in Markdown."""

    site: str
    dictionary: str


def model_docs(home: Path) -> ModelDocs:
    """Make both in `home`, an empty folder, which becomes this process's home folder.

    Raises ModelsUnreadable, BuildFailed, GrainUnsaid.
    """
    adopt({"FOOTFALL_HOME": str(home)})
    project = parse(home / "dbt")
    warehouse_path = home / "warehouse" / "warehouse.duckdb"
    published_path = warehouse_path.with_name("analytics.duckdb")
    prepare_sources(warehouse_path)
    begin_build(warehouse_path, "docs", models=project.relations())
    build_empty(project, home / "dbt")
    finish_build(warehouse_path, "docs")
    publish(warehouse_path, published_path)
    with duckdb.connect(str(published_path), read_only=True) as published:
        dictionary = data_dictionary(published, project.manifest())
    return ModelDocs(make_site(project, home / "dbt").read_text(), dictionary)


def main() -> None:
    """Write both and say where they are."""
    with tempfile.TemporaryDirectory(prefix="footfall-docs-") as home:
        made = model_docs(Path(home))
    SITE.parent.mkdir(exist_ok=True)
    for path, text in ((SITE, made.site), (DICTIONARY, made.dictionary)):
        path.write_text(text)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
