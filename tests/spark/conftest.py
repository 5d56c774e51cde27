"""One cluster for all tests of this folder, which skip where Spark cannot run at all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.spark.errors import ExtraMissing, JavaMissing, JavaTooOld
from pipelines.spark.needs import check_needs
from tests.spark.cluster import SparkCluster, spark_cluster
from tests.sql.conftest import make_models, manifest

__all__ = ["make_models", "manifest"]


# of a few hundred rows; 200 are for machines that have more
DEFAULTS = "spark.sql.shuffle.partitions 2\n"


@pytest.fixture(scope="session", autouse=True)
def _has_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Skip where Spark cannot run; else give all sessions an operator's spark-defaults.conf."""
    try:
        check_needs("local")
    except (ExtraMissing, JavaMissing, JavaTooOld) as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("conf")
    (folder / "spark-defaults.conf").write_text(DEFAULTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        yield


@pytest.fixture(scope="session")
def running_cluster(_has_spark: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    # workers come with the first test that needs them
    with spark_cluster(tmp_path_factory.mktemp("cluster"), worker_count=0) as started:
        yield started


@pytest.fixture
def cluster(running_cluster: SparkCluster) -> SparkCluster:
    """The cluster with two workers, whatever a test before did to them."""
    running_cluster.keep_workers(2)
    return running_cluster


@pytest.fixture
def defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write an operator's spark-defaults.conf."""

    def write(**settings: str) -> None:
        lines = [f"spark.{name.replace('_', '.')} {value}\n" for name, value in settings.items()]
        (tmp_path / "spark-defaults.conf").write_text("".join(lines))
        monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))

    return write
