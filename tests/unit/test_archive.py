"""The pure part of archives: names of folders, types, manifests, and what the configuration may say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pgalmanac.archive_manifest import ArchivedFile, KeptColumn, Manifest, folder_of, read_manifest, table_folder
from pgalmanac.archive_parquet import Content
from pgalmanac.archive_types import Column, stored_edge, stored_type
from pgalmanac.config import load
from pgalmanac.errors import ArchiveError, ConfigError
from pgalmanac.model import Interval
from pgalmanac.table_names import TableName

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = Manifest(
    schema="public",
    table="events",
    partition_schema="public",
    partition="events_2025_11_02",
    oid=4711,
    period="2025-11-02",
    lower="2025-11-02T00:00:00+00:00",
    upper="2025-11-03T00:00:00+00:00",
    key="at",
    rows=1,
    min="2025-11-02 01:00:00",
    max="2025-11-02 01:00:00",
    first="1",
    last="1",
    files=(ArchivedFile(name="part-0.parquet", bytes=1, rows=1, sha256="0", content="0"),),
    columns=(KeptColumn(name="at", type="timestamp", stored="timestamp[us]"),),
    ddl=("CREATE TABLE …",),
    system_id="1",
    database="é",
    server_version="18",
    run_id=None,
    written_by="pgalmanac",
    written_at="2025-11-03T02:00:00+00:00",
)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (TableName(schema="public", name="events"), "events"),
        (TableName(schema="app", name="events"), "app.events"),
        (TableName(schema="public", name="app.events"), "app%2Eevents"),
        (TableName(schema="public", name=".."), "%2E%2E"),
        (TableName(schema="Big App", name="a/b=c"), "Big%20App.a%2Fb%3Dc"),
    ],
)
def test_no_two_tables_share_a_folder(name: TableName, folder: str) -> None:
    """And no name leads out of the archive."""
    assert folder == table_folder(name)


def test_the_folder_is_the_intervals_own() -> None:
    """As hive has it; a column of that name keeps its name."""
    assert folder_of(Interval.WEEKLY, "2025-W45", frozenset({"at"})) == "week=2025-W45"
    assert folder_of(Interval.DAILY, "2025-11-02", frozenset({"DAY"})) == "partition_day=2025-11-02"
    assert folder_of(None, "a_b", frozenset()) == "period=a_b"


def test_a_manifest_is_read_as_it_was_written() -> None:
    """Every field, and what is none is refused with its place."""
    text = MANIFEST.text()

    assert read_manifest(text.encode(), "here") == MANIFEST
    for bad in (b"", b"[]", b"{}", text.replace('"rows": 1', '"lines": 1').encode(), b'{"format": 1}', b"\xff"):
        with pytest.raises(ArchiveError, match="here is not a manifest"):
            read_manifest(bad, "here")
    for field, bad_value in (
        ('"lower": "2025-11-02T00:00:00+00:00"', '"lower": "zzz"'),
        ('"lower": "2025-11-02T00:00:00+00:00"', '"lower": "2025-11-02T00:00:00"'),
        ('"name": "part-0.parquet"', '"name": "../../../etc/passwd"'),
        ('"partition": "events_2025_11_02"', '"partition": ""'),
        ('"key": "at"', '"key": "elsewhere"'),
        ('"rows": 1', '"rows": "1"'),
        ('"name": "at"', '"name": 7'),
    ):
        assert field in text
        with pytest.raises(ArchiveError, match="here is not a manifest"):
            read_manifest(text.replace(field, bad_value).encode(), "here")
    with pytest.raises(ArchiveError, match="later format"):
        read_manifest(text.replace('"format": 1', '"format": 2').encode(), "here")


def test_edges_are_those_of_the_file() -> None:
    """Microseconds and days since 1970, also before it, and text for a key that is kept as text."""
    stamp = Column(name="at", type="timestamp", base="timestamp", builtin=True)
    day = Column(name="at", type="date", base="date", builtin=True)

    assert stored_edge(stamp, "1969-12-31 23:59:59.999999") == "-1"
    assert stored_edge(replace(stamp, base="timestamptz"), "9999-12-31 23:59:59.999999+00") == "253402300799999999"
    assert stored_edge(day, "1970-01-02") == "1"
    assert stored_edge(replace(day, odd=True), "infinity") == "infinity"
    assert stored_edge(day, None) is None


def test_numerics_are_decimals_where_those_hold_them() -> None:
    """The modifier packs precision and a signed scale."""
    numeric = Column(name="n", type="numeric", base="numeric", builtin=True)
    packed = {(10, 2): "decimal128(10, 2)", (38, 38): "decimal128(38, 38)", (39, 0): "string", (2, 5): "string"}

    assert stored_type(numeric) == "string"
    for (digits, scale), stored in packed.items():
        assert stored_type(replace(numeric, modifier=(digits << 16 | scale) + 4)) == stored
    assert stored_type(replace(numeric, modifier=(3 << 16 | 0x7FE) + 4)) == "string"


@pytest.mark.parametrize(
    "values",
    [[1, None, 3], [True, None, False], ["a", None, ""], [b"", None, b"a"], [1.5, None, float("nan")]],
)
def test_a_checksum_is_of_values_and_not_of_their_place(values: list[object]) -> None:
    """A slice of a longer array has the same one; another value, or a NULL in another place, has another."""

    def checksum(array: pa.Array) -> str:
        content = Content("k")
        content.add(pa.RecordBatch.from_arrays([array], names=["v"]))
        return content.checksums

    whole = pa.array([*values[::-1], *values, *values])
    alone = pa.array(values)

    assert checksum(whole.slice(3, 3)) == checksum(alone)
    assert checksum(pa.array([values[1], values[0], values[2]], alone.type)) != checksum(alone)
    assert checksum(pa.array([values[2], values[1], values[0]], alone.type)) != checksum(alone)


def configured(tmp_path: Path, text: str) -> object:
    """The archive of the table events in a file with this text."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = load(environ={}, config=str(path))
    return settings.policy(TableName(schema="public", name="events")).archive


TABLE = '[[tables]]\nname = "events"\n[tables.archive]\n'


def test_the_archive_is_a_section_of_its_table(tmp_path: Path) -> None:
    """A table's own beats the one for all."""
    text = '[defaults.archive]\nurl = "file:///srv/all"\n' + TABLE + 'url = "s3://bucket/x/"\nregion = "eu-central-1"\n'
    found = configured(tmp_path, text)

    assert "url='s3://bucket/x'" in str(found)
    assert "region='eu-central-1'" in str(found)
    assert configured(tmp_path, '[[tables]]\nname = "events"\n') is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('endpont = "https://x"', "did you mean endpoint?"),
        ('region = "x"', "has no url"),
        ('url = "/srv/archive"', "write file:///path"),
        ('url = "file://host/srv"', "write file:///path"),
        ('url = "file:///"', "write file:///path"),
        ('url = "gs://bucket"', "write file:///path"),
        ('url = "s3://KEY:hunter2@bucket"', "AWS_ACCESS_KEY_ID"),
        ('url = "s3://b"\nformat = "orc"', "write parquet"),
        ('url = "s3://b"\nformat = "parqet"', "did you mean parquet?"),
        ('url = "s3://b"\nendpoint = "localhost:9000"', "https://s3.example"),
    ],
)
def test_a_wrong_archive_is_refused_with_its_remedy(tmp_path: Path, line: str, says: str) -> None:
    """The sentence names the key, and never repeats a secret."""
    with pytest.raises(ConfigError) as refusal:
        configured(tmp_path, TABLE + line + "\n")

    assert says in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
