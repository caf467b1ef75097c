"""The demo's tables and their synthetic rows, made on the server; a day's rows are the same each time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

__all__ = [
    "DAYS_BACK",
    "DEVICE_LOGS_TABLE",
    "EVENTS_TABLE",
    "FUTURE_STRAYS",
    "GAP_DAYS_AGO",
    "GAP_STRAYS",
    "INCIDENT_DAYS_AGO",
    "RUNWAY_DAYS",
    "add_events_partition",
    "fill",
    "rows_a_day",
]

# An event store as it is met in the field; the tests make their tables from the same text.
EVENTS_TABLE: Final[LiteralString] = """
CREATE TABLE events (
    id bigserial NOT NULL,
    event_id uuid NOT NULL,
    event_type varchar(100) NOT NULL,
    event_version int NOT NULL,
    "timestamp" timestamp without time zone NOT NULL,
    aggregate_type varchar(50) NOT NULL,
    aggregate_id varchar(255) NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb,
    correlation_id uuid,
    causation_id uuid,
    source varchar(100),
    checksum varchar(64),
    PRIMARY KEY (id, "timestamp"),
    UNIQUE (event_id, "timestamp")
) PARTITION BY RANGE ("timestamp");
CREATE INDEX ON events (aggregate_type, aggregate_id, "timestamp");
CREATE INDEX ON events (event_type, "timestamp");
CREATE INDEX ON events ("timestamp" DESC);
CREATE INDEX ON events (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX ON events (causation_id) WHERE causation_id IS NOT NULL;
"""

DEVICE_LOGS_TABLE: Final[LiteralString] = """
CREATE TABLE device_logs (
    id bigserial NOT NULL,
    device_id varchar(50) NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    severity varchar(10) NOT NULL,
    message text NOT NULL,
    reading jsonb,
    PRIMARY KEY (id, logged_at)
) PARTITION BY RANGE (logged_at);
CREATE INDEX ON device_logs (device_id, logged_at);
CREATE INDEX ON device_logs (logged_at DESC);
"""

# Days before today; the default retention is 90, so a first maintain has 30 partitions to drop.
DAYS_BACK: Final = 120
RUNWAY_DAYS: Final = 4
INCIDENT_DAYS_AGO: Final = 17
# On a day without a partition only some rows reached the default partition; so do rows dated past the runway.
GAP_DAYS_AGO: Final = 41
GAP_STRAYS: Final = 96
FUTURE_STRAYS: Final = 24

_INCIDENT_TIMES_USUAL: Final = 10
_WEEKEND_SHARE: Final = 0.45
_DEVICE_LOG_SHARE: Final = 0.08
_MONTHS_OF_DEVICE_LOGS: Final = 5

# One entry a slot, drawn with equal chance: how busy each hour is, and which events are frequent.
_HOURS: Final = tuple(
    hour
    for hour, weight in enumerate((1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 11, 10, 8, 10, 11, 10, 9, 8, 7, 6, 6, 5, 3, 2))
    for _ in range(weight)
)
_TYPES: Final = (
    *("order.placed",) * 5,
    *("order.paid",) * 4,
    *("order.shipped",) * 4,
    *("inventory.reserved",) * 4,
    *("payment.authorized",) * 3,
    *("shipment.delivered",) * 3,
    *("customer.updated",) * 2,
    *("cart.abandoned", "customer.registered", "order.cancelled", "payment.failed", "refund.issued"),
)
# Nine of ten events of the incident come from one afternoon of failing payments that were tried again.
_INCIDENT_HOURS: Final = (*_HOURS, *(13, 14, 14, 15, 15, 16) * (len(_HOURS) * 9 // 6))
_INCIDENT_TYPES: Final = (*_TYPES, *("payment.failed",) * (len(_TYPES) * 9))

# Ordered by time, so that ids grow with it as in a table that was filled by living.
_INSERT_EVENTS: Final[LiteralString] = """
WITH drawn AS MATERIALIZED (
    SELECT %(lower)s::timestamp
             + make_interval(secs => (%(hours)s::int[])[1 + floor(random() * %(hour_slots)s)::int] * 3600
                                     + random() * 3600) AS at,
           (%(types)s::text[])[1 + floor(random() * %(type_slots)s)::int] AS type,
           random() AS a, random() AS b, random() AS c
    FROM generate_series(1, %(rows)s)
), event AS MATERIALIZED (
    SELECT *,
           split_part(type, '.', 1) AS aggregate,
           split_part(type, '.', 1) || '-' || floor(a * a * 20000) AS aggregate_id,
           jsonb_build_object('amount', round((b * 250)::numeric, 2), 'currency', 'EUR',
                              'items', 1 + floor(c * 6)::int) AS data
    FROM drawn
    WHERE at < %(until)s OR %(until)s::timestamp IS NULL
    ORDER BY at
)
INSERT INTO {table} (event_id, event_type, event_version, "timestamp", aggregate_type, aggregate_id, data,
                     metadata, correlation_id, causation_id, source, checksum)
SELECT md5(at::text || a)::uuid, type, 1 + (c > 0.8)::int, at, aggregate, aggregate_id, data,
       jsonb_build_object('region', (ARRAY['eu-west', 'eu-north', 'us-east'])[1 + floor(b * 3)::int]),
       CASE WHEN b < 0.7 THEN md5(aggregate_id || at::date)::uuid END,
       CASE WHEN c < 0.4 THEN md5(at::text || b)::uuid END,
       aggregate || '-service', encode(sha256(data::text::bytea), 'hex')
FROM event
"""

_INSERT_DEVICE_LOGS: Final[LiteralString] = """
WITH drawn AS MATERIALIZED (
    SELECT %(lower)s::timestamptz + random() * (%(upper)s::timestamptz - %(lower)s::timestamptz) AS at,
           random() AS a, random() AS b
    FROM generate_series(1, %(rows)s)
)
INSERT INTO {table} (device_id, logged_at, severity, message, reading)
SELECT 'sensor-' || floor(a * 400), at,
       CASE WHEN b < 0.01 THEN 'error' WHEN b < 0.06 THEN 'warning' ELSE 'info' END,
       CASE WHEN b < 0.01 THEN 'no reading' ELSE 'reading taken' END,
       CASE WHEN b >= 0.01 THEN jsonb_build_object('celsius', round((15 + b * 12)::numeric, 1)) END
FROM drawn
WHERE at < %(until)s
ORDER BY at
"""


def fill(connection: psycopg.Connection, *, now: datetime, events: int, tell: Callable[[str, float], None]) -> None:
    """Make both tables in an empty database and give them about *events* rows, up to *now* (aware).

    *connection* is in autocommit. *tell* is called with what is being done and the share that is done.
    """
    today = now.astimezone(UTC).date()
    until = now.astimezone(UTC).replace(tzinfo=None)
    connection.execute(EVENTS_TABLE)
    connection.execute(DEVICE_LOGS_TABLE)
    counts = rows_a_day(today, round(events * (1 - _DEVICE_LOG_SHARE)))
    total, done = sum(counts.values()), 0
    for day in (today + timedelta(days=n) for n in range(-DAYS_BACK, RUNWAY_DAYS + 1)):
        rows = counts.get(day, 0)
        if rows or day > today:
            tell(f"filling events, {day}", 0.85 * done / total)
            add_events_partition(connection, day, rows=rows, until=until, incident=day == _incident(today))
        done += rows
    connection.execute("CREATE TABLE events_default PARTITION OF events DEFAULT")
    gap, future = today - timedelta(days=GAP_DAYS_AGO), today + timedelta(days=RUNWAY_DAYS + 1)
    _insert_events(connection, "events_default", gap, rows=GAP_STRAYS)
    _insert_events(connection, "events_default", future, rows=FUTURE_STRAYS)
    tell("filling device_logs", 0.85)
    _add_device_logs(connection, today, until=now, rows=round(events * _DEVICE_LOG_SHARE))
    tell("gathering statistics", 0.9)
    # Room for each of the twelve event types in a partition's statistics; the usual 100 takes twice as long.
    connection.execute("SET default_statistics_target = 15")
    connection.execute("VACUUM (ANALYZE)")
    tell("the demo is ready", 1.0)


def rows_a_day(today: date, total: int) -> dict[date, int]:
    """Share *total* events out over the days up to *today*, without the gap.

    Fewer on weekends, no two days quite alike, one incident. Today's are those of the whole day.
    """
    weights: dict[date, float] = {}
    for back in range(DAYS_BACK + 1):
        day = today - timedelta(days=back)
        if back == GAP_DAYS_AGO:
            continue
        weight = 1.0 if day.weekday() < 5 else _WEEKEND_SHARE  # noqa: PLR2004  # Saturday is 5
        if day == _incident(today):
            weight *= _INCIDENT_TIMES_USUAL
        else:
            weight *= Random(day.toordinal()).uniform(0.9, 1.1)  # noqa: S311  # noise, not a secret
        weights[day] = weight
    one = total / sum(weights.values())
    return {day: round(weight * one) for day, weight in weights.items()}


def _incident(today: date) -> date:
    """Return the day of the incident: a working day, since ten times a quiet Sunday would not stand out."""
    day = today - timedelta(days=INCIDENT_DAYS_AGO)
    return day - timedelta(days=max(0, day.weekday() - 4))


def add_events_partition(
    connection: psycopg.Connection, day: date, *, rows: int, until: datetime, incident: bool
) -> None:
    """Make one day's partition. Filling it before ATTACH builds its seven indexes sorts instead of inserting."""
    name = f"events_{day:%Y_%m_%d}"
    with connection.transaction():
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE events INCLUDING DEFAULTS)").format(sql.Identifier(name)))
        if rows:
            _insert_events(connection, name, day, rows=rows, until=until, incident=incident)
        connection.execute(
            sql.SQL("ALTER TABLE events ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(name), str(day), str(day + timedelta(days=1))
            )
        )


def _insert_events(
    connection: psycopg.Connection,
    table: str,
    day: date,
    *,
    rows: int,
    until: datetime | None = None,
    incident: bool = False,
) -> None:
    """Insert *rows* events of *day* into *table*, the same each time, without those at or after *until*."""
    hours = _INCIDENT_HOURS if incident else _HOURS
    types = _INCIDENT_TYPES if incident else _TYPES
    connection.execute("SELECT setseed(%s)", (day.toordinal() % 1000 / 1000,))
    connection.execute(
        sql.SQL(_INSERT_EVENTS).format(table=sql.Identifier(table)),
        {
            "lower": day,
            "until": until,
            "rows": rows,
            "hours": list(hours),
            "hour_slots": len(hours),
            "types": list(types),
            "type_slots": len(types),
        },
    )


def _add_device_logs(connection: psycopg.Connection, today: date, *, until: datetime, rows: int) -> None:
    """Make the monthly partitions up to this month, each with its share of *rows*."""
    lower = today.replace(day=1)
    connection.execute("SELECT setseed(0.5)")
    for _ in range(_MONTHS_OF_DEVICE_LOGS):
        upper = (lower + timedelta(days=32)).replace(day=1)
        table = sql.Identifier(f"device_logs_{lower:%Y_%m}")
        bounds = {"lower": f"{lower} 00:00+00", "upper": f"{upper} 00:00+00"}
        with connection.transaction():
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF device_logs FOR VALUES FROM ({}) TO ({})").format(
                    table, *bounds.values()
                )
            )
            connection.execute(
                sql.SQL(_INSERT_DEVICE_LOGS).format(table=table),
                {**bounds, "rows": rows // _MONTHS_OF_DEVICE_LOGS, "until": until},
            )
        lower = (lower - timedelta(days=1)).replace(day=1)
