"""An archive as Spark reads it. Slow: it starts a Java of its own, and `make test-all` alone installs pyspark."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pgalmanac import maintain
from pgalmanac.config import Layer, Settings
from pgalmanac.maintain import Request
from support import add_partitions, rows, today

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # pyspark's own, of which there are many
async def test_spark_reads_what_the_table_had(database: str, tmp_path: Path) -> None:
    """The folder of the table is one data frame, its days a column, with the rows and sums of before."""
    spark = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs a java")
    add_partitions(database, days=[-93, -92, -91, 0], rows_a_day=500)
    edge = today() - timedelta(days=90)
    before = rows(
        database, 'SELECT count(*), sum(id), count(DISTINCT event_id) FROM events WHERE "timestamp" < %s', edge
    )
    flags = Layer(values={"archive_url": tmp_path.as_uri(), "premake_days": 0})
    await maintain.perform(Settings(dsn=database, flags=flags), Request(command="maintain"))
    session = spark.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        session.read.parquet(str(tmp_path / "events")).createOrReplaceTempView("events")
        after = session.sql(
            "SELECT count(*), sum(id), count(DISTINCT event_id), count(DISTINCT day) FROM events"
        ).collect()
    finally:
        session.stop()

    assert before[0][0] == 1500
    assert (*map(int, before[0]), 3) == tuple(after[0])
