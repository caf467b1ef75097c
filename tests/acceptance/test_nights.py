"""Night after night on a clock that is moved: the installed command and a real server live through the years to come.

Both take their time from libfaketime (Debian's package of that name). What should be there after a night is worked
out here anew, by the days of the calendar, from the keys of the rows that were written.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
from psycopg import sql

from conftest import SETTINGS
from support import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acceptance.running import Run
    from pgalmanac.pgserver import Cluster

LIBRARY: Final = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

pytestmark = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime is not installed (Debian: apt install libfaketime)"
)

# How often a second run follows in the same night.
AGAIN: Final = 0.1


@dataclass(slots=True, kw_only=True)
class Night:
    """A server and the command, both at a time of their own; other programs keep this machine's."""

    cluster: Cluster
    run: Run
    config: Path
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def conninfo(self) -> str:
        """How libpq reaches the server."""
        return self.cluster.conninfo()

    def begin(self, now: datetime) -> None:
        """Let it be *now*, and go on from there.

        The server is started anew: one whose clock is read from a file that changes reads it in its signal handlers
        too, and dies of that sooner or later.
        """
        offset = f"{(now - datetime.now(UTC)).total_seconds():+.0f}"
        self.cluster.stop()
        # What waits goes on waiting by the machine's own clock.
        self.environ = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self.environ.items():
                patched.setenv(name, value)
            self.cluster.start(SETTINGS)

    def maintain(self) -> dict[str, Any]:
        """Give the report of a run, which ends well."""
        arguments = ("--headless", "--config", str(self.config), "maintain", "--json")
        done = self.run(*arguments, PGALMANAC_DSN=self.conninfo, **self.environ)
        assert (0, "") == (done.code, done.err), done.out
        return done.document


@dataclass(slots=True, kw_only=True)
class Kept:
    """One table, what is wanted of it, and the keys of its rows."""

    name: str
    key: str
    type: str
    zone: str
    interval: str
    retention_days: int
    premake_days: int
    written: list[datetime] = field(default_factory=list)
    gone: int = 0

    @property
    def identifier(self) -> sql.Composable:
        """Its name in a statement."""
        return sql.Identifier(*self.name.split("."))

    @property
    def setting(self) -> str:
        """Its entry in the configuration."""
        name = ".".join(f'"{part}"' for part in self.name.split("."))
        return (
            f"[[tables]]\nname = '{name}'\ninterval = '{self.interval}'\ntimezone = '{self.zone}'\n"
            f"retention_days = {self.retention_days}\npremake_days = {self.premake_days}\n"
        )

    def literal(self, moment: datetime) -> str:
        """Give the key of *moment*, as the table has it: the wall's clock in UTC where it knows no zone."""
        if self.type == "date":
            return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d}"
        if self.type == "timestamp":
            return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S}"
        return f"{moment:%Y-%m-%d %H:%M:%S}"

    def midnight(self, day: date) -> datetime:
        """Give the moment at which *day* begins, where the table is at home."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def over(self, moment: datetime) -> datetime:
        """Give the end of the period that *moment* lies in."""
        local = moment.astimezone(ZoneInfo(self.zone))
        day = local.date()
        if self.interval == "hourly":  # whole hours from UTC in the zones that are used here
            return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if self.interval == "daily":
            return self.midnight(day + timedelta(days=1))
        if self.interval == "weekly":
            return self.midnight(day - timedelta(days=day.weekday()) + timedelta(days=7))
        return self.midnight((day.replace(day=1) + timedelta(days=32)).replace(day=1))

    def kept(self, now: datetime) -> list[str]:
        """Give the keys that are still there, from now on: those whose period has not passed retention."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        oldest = self.midnight(today - timedelta(days=self.retention_days))
        before = len(self.written)
        self.written = [moment for moment in self.written if self.over(moment) > oldest]
        self.gone += before - len(self.written)
        return sorted(map(self.literal, self.written))

    def make(self, conninfo: str) -> None:
        """Create the table, without a partition."""
        with connect(conninfo) as connection:
            connection.execute(
                sql.SQL("CREATE TABLE {} ({key} {} NOT NULL) PARTITION BY RANGE ({key})").format(
                    self.identifier, sql.SQL(self.type), key=sql.Identifier(self.key)
                )
            )

    def write(self, conninfo: str, now: datetime) -> None:
        """Insert an event of *now*, as the application does before the night's run."""
        with connect(conninfo) as connection:
            connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(self.identifier, self.literal(now)))
        self.written.append(now)

    def found(self, conninfo: str) -> list[str]:
        """Give the keys that the table has."""
        query = sql.SQL("SELECT {}::text FROM {}").format(sql.Identifier(self.key), self.identifier)
        with connect(conninfo) as connection:
            return sorted(key.removesuffix("+00") for (key,) in connection.execute(query))

    def prove_inserts(self, conninfo: str, now: datetime) -> None:
        """Insert, and undo, an event for each hour from *now* to the end of the last day that is made ahead."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        end = self.midnight(today + timedelta(days=self.premake_days + 1))
        hours = [now + timedelta(hours=n) for n in range(int((end - now) / timedelta(hours=1)))]
        keys = [self.literal(moment) for moment in (*hours, end - timedelta(seconds=1))]
        query = sql.SQL("INSERT INTO {} SELECT unnest({}::text[])::{}").format(
            self.identifier, sql.Literal(keys), sql.SQL(self.type)
        )
        with connect(conninfo) as connection, connection.transaction(force_rollback=True):
            connection.execute(query)


def tables() -> list[Kept]:
    """Give a table of each kind."""
    zoned = "timestamptz"
    return [
        Kept(
            name="public.events",
            key="timestamp",
            type="timestamp",
            zone="UTC",
            interval="daily",
            retention_days=10,
            premake_days=30,
        ),
        Kept(
            name="public.by_hour",
            key="at",
            type=zoned,
            zone="Europe/Berlin",
            interval="hourly",
            retention_days=3,
            premake_days=5,  # the longest pause is four days of UTC, which can be five elsewhere
        ),
        Kept(
            name="public.Local Days",
            key="at",
            type=zoned,
            zone="America/Santiago",
            interval="daily",
            retention_days=6,
            premake_days=10,
        ),
        Kept(
            name="public.weeks",
            key="day",
            type="date",
            zone="Asia/Tokyo",
            interval="weekly",
            retention_days=9,
            premake_days=21,
        ),
        Kept(
            name="public.months",
            key="at",
            type=zoned,
            zone="America/St_Johns",
            interval="monthly",
            retention_days=40,
            premake_days=60,
        ),
    ]


@pytest.fixture
def night(own_server: Cluster, run: Run, tmp_path: Path) -> Night:
    """Give a server and the command, which have the same clock once the first night has begun."""
    return Night(cluster=own_server, run=run, config=tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("first", "nights"),
    [
        pytest.param(datetime(2027, 3, 20, tzinfo=UTC), 10, id="the clocks of Berlin go forward"),
        pytest.param(datetime(2027, 8, 27, tzinfo=UTC), 10, id="a midnight that Santiago does not have"),
        pytest.param(datetime(2027, 10, 24, tzinfo=UTC), 10, id="clocks go back in Europe and in America"),
        pytest.param(datetime(2028, 2, 20, tzinfo=UTC), 10, id="a leap day"),
        pytest.param(datetime(2026, 12, 1, tzinfo=UTC), 500, id="years", marks=pytest.mark.slow),
    ],
)
def test_every_insert_finds_its_partition_and_rows_go_when_their_period_is_past_retention(
    first: datetime, nights: int, night: Night
) -> None:
    """Some nights are missed, some have two runs, and each is at another time of the day."""
    chance = random.Random(str(first))  # noqa: S311  # the same nights in each run of the test
    kept = tables()
    night.config.write_text("\n".join(table.setting for table in kept))
    now = first
    for table in kept:
        table.make(night.conninfo)

    for number in range(nights):
        night.begin(now)
        for table in kept if number else ():
            table.write(night.conninfo, now)
        document = night.maintain()
        assert [[]] * len(kept) == [t["findings"] for t in document["tables"]]
        for table in kept:
            assert table.kept(now) == table.found(night.conninfo), f"{table.name} at {now}"
            table.prove_inserts(night.conninfo, now)
        if chance.random() < AGAIN:
            again = night.maintain()
            assert [(0, 0)] * len(kept) == [(t["created"], t["dropped"]) for t in again["tables"]]
        days = chance.choice((1, 1, 1, 1, 2, 4))
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        # No midnight of these zones comes within ten minutes, in which even a slow machine is done with the night.
        now = today + timedelta(days=days, minutes=30 * chance.randrange(48), seconds=chance.randrange(1200))

    assert any(table.gone for table in kept)
