"""What an archive holds of a table: the manifests, and the folders that an interrupted run left without one."""

from __future__ import annotations

from dataclasses import dataclass

from pgalmanac.archive_manifest import MANIFEST, Manifest, read_manifest, table_folder
from pgalmanac.archive_store import Store, open_store
from pgalmanac.errors import ArchiveError
from pgalmanac.policy import ArchiveTarget
from pgalmanac.table_names import TableName

__all__ = ["Archived", "archived", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One folder of a table's archive. *trouble* says why it is not to be relied on; then there may be no manifest."""

    url: str
    manifest: Manifest | None
    trouble: str | None = None


def archived(target: ArchiveTarget, table: TableName) -> tuple[Archived, ...]:
    """Every folder of the table, sorted by name; only sizes are looked at, not what the files hold.

    Raises ArchiveError when the archive cannot be reached.
    """
    store = open_store(target)
    return tuple(_archived(store, folder) for folder in _folders(store, table))


def whole(target: ArchiveTarget, table: TableName) -> tuple[tuple[str, Manifest], ...]:
    """The folders that have a manifest, with it."""
    store = open_store(target)
    found = ((folder, store.get(f"{folder}/{MANIFEST}")) for folder in _folders(store, table))
    return tuple((f, read_manifest(text, store.at(f"{f}/{MANIFEST}"))) for f, text in found if text is not None)


def _folders(store: Store, table: TableName) -> list[str]:
    root = table_folder(table)
    return [f"{root}/{name}" for name in store.folders(root)]


def _archived(store: Store, folder: str) -> Archived:
    url = store.at(folder)
    text = store.get(f"{folder}/{MANIFEST}")
    if text is None:
        return Archived(url=url, manifest=None, trouble="it has no manifest: a run that wrote it was interrupted")
    try:
        manifest = read_manifest(text, f"{url}/{MANIFEST}")
    except ArchiveError as exc:
        return Archived(url=url, manifest=None, trouble=str(exc))
    sizes = store.names(folder)
    for file in manifest.files:
        if sizes.get(file.name) != file.bytes:
            there = "is missing" if file.name not in sizes else f"has {sizes[file.name]} bytes instead of {file.bytes}"
            return Archived(url=url, manifest=manifest, trouble=f"{file.name} {there}")
    return Archived(url=url, manifest=manifest)
