"""Exact counts that are still true, kept in a small file from one process to the next.

A count belongs to a key: what the server's counters of that partition said before it was counted. Whoever finds the
same key again may show the same number, as of the time it was counted. Nothing here raises: a file that is missing,
locked, foreign or damaged holds no counts, and one that cannot be written keeps none.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, Final, cast

from pgalmanac.db import Session

__all__ = ["CountsCache", "Kept", "cache_file", "open_cache"]

# The format is part of the name: another one starts a file of its own, and an older program keeps finding its.
_FILE: Final = "counts-1.sqlite"
# How long another process may keep the file to itself before we do without it. The event loop waits for this.
_PATIENCE_SECONDS: Final = 0.1
# A count so old is made again: its partition is most likely gone.
_KEEP_SECONDS: Final = 90 * 86_400
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS counts (
    server TEXT NOT NULL, oid INTEGER NOT NULL, key TEXT NOT NULL, count TEXT NOT NULL, checksum INTEGER NOT NULL,
    written REAL NOT NULL, PRIMARY KEY (server, oid)) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An exact count and when it was true: *oldest* and *newest* are key times, *counted_at* an instant in UTC."""

    rows: int
    oldest: datetime | None
    newest: datetime | None
    counted_at: datetime


def cache_file() -> Path | None:
    """Where the counts are kept; None for an account that has no home."""
    import platformdirs  # noqa: PLC0415  # only who counts needs it

    try:
        return platformdirs.user_cache_path("pgalmanac", appauthor=False) / _FILE
    except (KeyError, OSError, RuntimeError):
        return None


def open_cache(session: Session, path: Path | None = None) -> CountsCache:
    """The counts of this server, database and role; in *path* instead of the usual file.

    The way it is reached is part of the identity: a copy of a server carries the system identifier of the original.
    """
    info = session.conn.info
    parts = (session.server.system_id, info.host, str(info.port), info.dbname, session.server.role)
    return CountsCache(path or cache_file(), sha256("\0".join(parts).encode()).hexdigest())


class CountsCache:
    """The counts of one server; each call opens the file, for as long as it takes."""

    def __init__(self, path: Path | None, server: str) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._server = server

    def read(self, keys: Mapping[int, str]) -> dict[int, Kept]:
        """The counts, by oid, that were made under exactly these keys."""
        if self._path is None or not keys or not self._path.is_file():
            return {}
        try:
            with closing(self._open(self._path)) as file:
                rows = file.execute(
                    "SELECT oid, key, count, checksum FROM counts WHERE server = ?", (self._server,)
                ).fetchall()
        except (sqlite3.Error, OSError):
            return {}
        found = ((oid, self._kept(oid, key, count, sum_)) for oid, key, count, sum_ in rows if keys.get(oid) == key)
        return {oid: kept for oid, kept in found if kept is not None}

    def write(self, counted: Iterable[tuple[int, str, Kept]]) -> None:
        """Keep each count under its oid and key."""
        if self._path is None:
            return
        rows = [self._row(oid, key, kept) for oid, key, kept in counted]
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            try:
                self._put(self._path, rows)
            except sqlite3.OperationalError:  # locked, a full disk, columns of somebody else's
                return
            except sqlite3.DatabaseError:  # no database, or a damaged one: then a new one
                self._path.unlink(missing_ok=True)
                self._put(self._path, rows)
        except (sqlite3.Error, OSError):
            return

    def _put(self, path: Path, rows: list[tuple[object, ...]]) -> None:
        with closing(self._open(path)) as file, file:
            file.execute(_TABLE)
            file.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?)", rows)
            file.execute("DELETE FROM counts WHERE written < ?", (time() - _KEEP_SECONDS,))

    def _open(self, path: Path) -> sqlite3.Connection:
        file = sqlite3.connect(path, timeout=_PATIENCE_SECONDS)
        # Damage shows in the checksums, so that nothing has to wait for the disk.
        file.execute("PRAGMA synchronous = OFF")
        return file

    def _row(self, oid: int, key: str, kept: Kept) -> tuple[object, ...]:
        moments = (kept.oldest, kept.newest, kept.counted_at)
        text = json.dumps([kept.rows, *(None if m is None else m.isoformat() for m in moments)])
        return self._server, oid, key, text, self._checksum(oid, key, text), time()

    def _checksum(self, oid: int, key: str, text: str) -> int:
        return zlib.crc32("\0".join((self._server, str(oid), key, text)).encode())

    def _kept(self, oid: int, key: str, text: object, checksum: object) -> Kept | None:
        """The count that a row holds, or None when the row is not as it was written."""
        if not isinstance(text, str) or checksum != self._checksum(oid, key, text):
            return None
        rows, oldest, newest, at = cast("list[Any]", json.loads(text))
        return Kept(
            rows=rows,
            oldest=None if oldest is None else datetime.fromisoformat(oldest),
            newest=None if newest is None else datetime.fromisoformat(newest),
            counted_at=datetime.fromisoformat(at),
        )
