"""Exact counts that are still true, kept in a small file from one process to the next.

What was counted belongs to a key: what the server's counters of that partition said before it was counted. Whoever
finds the same key again may show the same number, as of the time it was counted. The file never raises: one that is
missing, locked, foreign or damaged holds no counts, and one that cannot be written keeps none.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final, LiteralString

from pgalmanac.db import Session
from pgalmanac.model import Partition
from pgalmanac.versions import SHARED_COUNTERS
from pgalmanac.view import View

__all__ = ["CountsCache", "Kept", "cache_file", "keys", "open_cache"]

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

# Late rows still come in for a while after a period has ended; an older one that stays as it is needs no recount.
_SETTLED: Final = timedelta(hours=1)
# What a partition's rows are known by. The counters know what was inserted, updated and deleted, and the file node
# changes with TRUNCATE. They say nothing once they began anew: a reset of this database's, or the reset of all that
# follows a crash and shows in the time of the server-wide ones.
_KEYS: Final[LiteralString] = """
SELECT c.oid::int8,
       concat_ws('/', c.relfilenode, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid),
                 pg_stat_get_tuples_deleted(c.oid), COALESCE(pg_stat_get_bgwriter_stat_reset_time()::text, '-'),
                 COALESCE(pg_stat_get_db_stat_reset_time((SELECT d.oid FROM pg_database d
                                                           WHERE d.datname = current_database()))::text, '-'))
  FROM unnest(%s::oid[]) AS wanted(oid) JOIN pg_class c ON c.oid = wanted.oid
 WHERE current_setting('track_counts')::bool AND c.relkind = 'r'
"""


async def keys(session: Session, seen: View, partitions: Iterable[Partition]) -> dict[int, str]:
    """What the rows of those *partitions*, whose period has been over for a while, are known by, by oid.

    To be read before anything is counted. Empty where the counters do not tell, as on a standby: there they do not
    count what it replays.
    """
    if session.server.standby or session.server.version_num < SHARED_COUNTERS:
        return {}
    settled = [p.oid for p in partitions if p.bounds and p.bounds.upper and p.bounds.upper + _SETTLED <= seen.now]
    return dict(await (await session.execute(_KEYS, [settled])).fetchall()) if settled else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An exact count and when it was true: *oldest* and *newest* are key times, *counted_at* an instant in UTC."""

    rows: int
    oldest: datetime | None
    newest: datetime | None
    counted_at: datetime

    @classmethod
    def read(cls, text: str) -> Kept:
        """The count that was written as *text*."""
        rows, oldest, newest, at = json.loads(text)
        return cls(
            rows=rows,
            oldest=None if oldest is None else datetime.fromisoformat(oldest),
            newest=None if newest is None else datetime.fromisoformat(newest),
            counted_at=datetime.fromisoformat(at),
        )

    def __str__(self) -> str:
        """As read takes it."""
        moments = (self.oldest, self.newest, self.counted_at)
        return json.dumps([self.rows, *(None if m is None else m.isoformat() for m in moments)])


def cache_file() -> Path | None:
    """Where the counts are kept; None for an account that has no home."""
    import platformdirs  # noqa: PLC0415  # only who counts needs it

    try:
        return platformdirs.user_cache_path("pgalmanac", appauthor=False) / _FILE
    except (KeyError, OSError, RuntimeError):
        return None


def open_cache(session: Session, path: Path | None = None, *, what: str = "") -> CountsCache:
    """The counts of this server, database and role; in *path* instead of the usual file. *what* else than rows it is.

    The way it is reached is part of the identity: a copy of a server carries the system identifier of the original.
    """
    info = session.conn.info
    parts = (session.server.system_id, info.host, str(info.port), info.dbname, session.server.role, what)
    return CountsCache(path or cache_file(), sha256("\0".join(parts).encode()).hexdigest())


class CountsCache:
    """What was counted on one server, as text; each call opens the file, for as long as it takes."""

    def __init__(self, path: Path | None, server: str) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._server = server

    def read(self, keys: Mapping[int, str]) -> dict[int, str]:
        """What was counted, by oid, under exactly these keys."""
        if self._path is None or not keys or not self._path.is_file():
            return {}
        try:
            with closing(self._open(self._path)) as file:
                rows = file.execute(
                    "SELECT oid, key, count, checksum FROM counts WHERE server = ?", (self._server,)
                ).fetchall()
        except (sqlite3.Error, OSError):
            return {}
        return {
            oid: text
            for oid, key, text, checksum in rows
            # As it was written: the rest may be damage.
            if keys.get(oid) == key and isinstance(text, str) and checksum == self._checksum(oid, key, text)
        }

    def write(self, counted: Iterable[tuple[int, str, str]]) -> None:
        """Keep each count under its oid and key."""
        if self._path is None:
            return
        rows: list[tuple[object, ...]] = [
            (self._server, oid, key, text, self._checksum(oid, key, text), time()) for oid, key, text in counted
        ]
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

    def _checksum(self, oid: int, key: str, text: str) -> int:
        return zlib.crc32("\0".join((self._server, str(oid), key, text)).encode())
