"""The printed data dictionary and dbt's site: made from the models that are here, and whole without any other file."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import docs
from pipelines.data_dictionary import Table
from pipelines.docs import DICTIONARY, ModelDocs, model_docs
from pipelines.errors import GrainUnsaid

MARTS = sorted(path.stem for path in (docs.DOCS.parent / "transforms" / "models" / "marts").glob("*.sql"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, give_models: Callable[[Path], None]) -> ModelDocs:
    """Both, as `make docs` makes them."""
    home = tmp_path_factory.mktemp("docs")
    give_models(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(home))
        return model_docs(home)


def test_dictionary_is_what_the_models_say(made: ModelDocs) -> None:
    assert DICTIONARY.read_text() == made.dictionary, "the models changed: run `make docs` and commit the page"


@pytest.mark.parametrize("mart", MARTS)
def test_dictionary_and_site_show_every_mart(made: ModelDocs, mart: str) -> None:
    section = re.search(rf"^## (?:marts|meta)\.{mart}\n(.+?)(?=^## |\Z)", made.dictionary, re.MULTILINE | re.DOTALL)
    assert section
    assert "Made from `" in section[1]
    assert f'"unique_id": "model.footfall.{mart}"' in made.site


def test_site_knows_lineage_types_and_sql(made: ModelDocs) -> None:
    assert '"parent_map": {' in made.site
    assert 'from \\"warehouse\\".\\"intermediate\\".\\"int_account_status\\"' in made.site
    assert '"type": "DECIMAL(4,1)"' in made.site


def test_site_asks_nobody_for_anything(made: ModelDocs) -> None:
    loaded = re.findall(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)""", made.site)
    assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == []
    assert re.findall(r"""(?:@import|url\()\s*["']?(?:https?:)?//[^"')]+""", made.site) == []
    assert '"send_anonymous_usage_stats": false' in made.site


def test_grain_is_the_words_about_a_row() -> None:
    comment = "Opens per day. One row per day and document; bots are left out. Nothing else."
    assert a_table(comment).grain == "One row per day and document"


def test_table_without_a_grain_is_refused() -> None:
    with pytest.raises(GrainUnsaid, match=r"marts\.rpt_x does not say what a row of it is"):
        assert a_table("Opens per day.").grain


def a_table(comment: str) -> Table:
    return Table("marts.rpt_x", comment, owners=(), source_names=(), columns=())


def test_make_docs_writes_both(tmp_path: Path, made: ModelDocs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "model_docs", lambda home: made)
    monkeypatch.setattr(docs, "SITE", tmp_path / "site" / "index.html")
    monkeypatch.setattr(docs, "DICTIONARY", tmp_path / "data-dictionary.md")
    docs.main()
    assert (tmp_path / "site" / "index.html").read_text() == made.site
    assert (tmp_path / "data-dictionary.md").read_text() == made.dictionary
