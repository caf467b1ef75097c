"""The function partition_health: what check says of a table's coverage and runs, for a health endpoint without Python.

It reads the catalog and the run history with the caller's own rights, under a search path that nobody else can put
anything into, and waits for no lock that a partition may be under.
"""

from __future__ import annotations

from typing import Final, LiteralString

from psycopg import sql

from pgalmanac.db import Session
from pgalmanac.db_errors import translated
from pgalmanac.diagnose import OF_ANOTHER, SUCCESS_MAX_AGE
from pgalmanac.discovery import KEY_TYPE
from pgalmanac.history import History
from pgalmanac.policy import LOW_RUNWAY_DAYS
from pgalmanac.table_names import TableName

__all__ = ["make_health_function"]

NAME: Final = "partition_health"

# One table's moments become key times (timestamps without zone) as in model.py. clock_timestamp() and not now(): an
# endpoint may ask from within a transaction that began yesterday. A bound's text depends on the settings pinned below.
_FUNCTION: Final[LiteralString] = """
CREATE OR REPLACE FUNCTION {function}(
    parent regclass, low_runway_days integer DEFAULT {low_runway}, zone text DEFAULT 'UTC',
    success_max_age interval DEFAULT {max_age})
RETURNS TABLE (level text, code text, message text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO' SET row_security = off
AS $function$
DECLARE
    name text;
    short_task text;
    full_task text;
    is_instant boolean;
    has_default boolean;
    present timestamp;
    today date;
    tomorrow timestamp;
    part record;
    until timestamp;
    runway integer := 0;
    last_success timestamptz;
    is_new boolean := false;
BEGIN
    SELECT format('%I.%I', n.nspname, c.relname), c.relname || '-partition-maintenance',
           n.nspname || '.' || c.relname || '-partition-maintenance',
           {key_type} = 'timestamptz'::regtype, p.partdefid <> 0
      INTO name, short_task, full_task, is_instant, has_default
      FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] JOIN pg_type t ON t.oid = a.atttypid
     WHERE p.partrelid = parent AND p.partstrat = 'r' AND p.partnatts = 1
       AND {key_type} IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype);
    IF name IS NULL THEN
        -- No answer must not look like good health.
        RAISE EXCEPTION '% is not partitioned by range of one time column', COALESCE(parent::text, 'NULL')
            USING ERRCODE = 'wrong_object_type';
    END IF;

    today := (clock_timestamp() AT TIME ZONE zone)::date;
    present := clock_timestamp() AT TIME ZONE CASE WHEN is_instant THEN 'UTC' ELSE zone END;
    tomorrow := (today + 1)::timestamp;
    IF is_instant THEN
        tomorrow := tomorrow AT TIME ZONE zone AT TIME ZONE 'UTC';
    END IF;

    FOR part IN
        SELECT CASE b[1] WHEN 'MINVALUE' THEN '-infinity'::timestamp
                    ELSE CASE WHEN is_instant THEN btrim(b[1], '''')::timestamptz AT TIME ZONE 'UTC'
                              ELSE btrim(b[1], '''')::timestamp END END AS lower,
               CASE b[2] WHEN 'MAXVALUE' THEN 'infinity'::timestamp
                    ELSE CASE WHEN is_instant THEN btrim(b[2], '''')::timestamptz AT TIME ZONE 'UTC'
                              ELSE btrim(b[2], '''')::timestamp END END AS upper
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
               regexp_match(pg_get_expr(c.relpartbound, 0), 'FROM \\((.+)\\) TO \\((.+)\\)$') AS b
         WHERE i.inhparent = parent AND NOT i.inhdetachpending AND b IS NOT NULL
         ORDER BY 1
    LOOP
        IF until IS NULL AND part.lower <= present AND present < part.upper OR part.lower = until THEN
            until := part.upper;
        END IF;
    END LOOP;

    IF until IS NULL THEN
        level := 'critical'; code := 'today_missing';
        message := format('%s has no partition for now: inserts %s; run pgalmanac fix', name,
                          CASE WHEN has_default THEN 'go to the default partition' ELSE 'fail' END);
        RETURN NEXT;
    END IF;
    IF until >= tomorrow THEN
        until := LEAST(until, tomorrow + interval '36524 days');
        IF is_instant THEN
            until := until AT TIME ZONE 'UTC' AT TIME ZONE zone;
        END IF;
        runway := GREATEST(until::date - today - 1, 0);
    END IF;
    IF runway < low_runway_days THEN
        level := 'warning'; code := 'runway_short';
        message := format('%s has partitions for %s after today; run pgalmanac maintain', name,
                          CASE runway WHEN 0 THEN 'no day' WHEN 1 THEN '1 day' ELSE runway || ' days' END);
        RETURN NEXT;
    END IF;

    level := 'warning'; code := 'last_success_old';
    BEGIN
        {last_success}
    EXCEPTION WHEN insufficient_privilege OR undefined_table OR undefined_column OR lock_not_available THEN
        code := 'history_unavailable';
        message := format('the run history of %s cannot be read: %s', name, SQLERRM);
        RETURN NEXT;
        RETURN;
    END;
    IF last_success IS NULL THEN
        message := format('no successful maintenance of %s is recorded%s; run pgalmanac maintain', name,
                          CASE WHEN is_new THEN '{of_another}' ELSE '' END);
        RETURN NEXT;
    ELSIF clock_timestamp() - last_success > success_max_age THEN
        level := 'critical';
        message := format('the last successful run of %s was %s hours ago; is the timer running?', name,
                          floor(EXTRACT(epoch FROM clock_timestamp() - last_success) / 3600));
        RETURN NEXT;
    END IF;
END
$function$;
COMMENT ON FUNCTION {function}(regclass, integer, text, interval) IS
    'what is wrong with the partitions of a table, and nothing when all is well; made by pgalmanac init'
"""
# The short task name is that of the table in the first schema of pgalmanac's search path, which need not be the
# caller's, and a table may have been made anew: a row that says which table it is about is held to it.
_WITH_DETAILS: Final[LiteralString] = """
        SELECT max(COALESCE(r.completed_at, r.started_at))::timestamptz INTO last_success FROM {runs} r
         WHERE r.status::text = 'success' AND COALESCE(r.details ->> 'command', 'maintain') = 'maintain'
           AND r.task_name IN (short_task, full_task)
           AND COALESCE(r.details ->> 'parent_oid', parent::oid::text) = parent::oid::text;
        IF last_success IS NULL THEN
            is_new := EXISTS (
                SELECT FROM {runs} r
                 WHERE r.status::text = 'success' AND COALESCE(r.details ->> 'command', 'maintain') = 'maintain'
                   AND r.task_name IN (short_task, full_task)
                   AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid::text = r.details ->> 'parent_oid'));
        END IF;
"""
_WITHOUT_DETAILS: Final[LiteralString] = """
        SELECT max(COALESCE(r.completed_at, r.started_at))::timestamptz INTO last_success FROM {runs} r
         WHERE r.status::text = 'success' AND r.task_name IN (short_task, full_task);
"""


async def make_health_function(session: Session, history: History) -> str:
    """Make partition_health beside the run history, or renew it; its signature. Raises PrivilegeError."""
    function = sql.Identifier(history.runs.schema, NAME)
    runs = sql.Identifier(history.runs.schema, history.runs.name)
    last_success = sql.SQL(_WITH_DETAILS if history.has_details else _WITHOUT_DETAILS).format(runs=runs)
    hours = int(SUCCESS_MAX_AGE.total_seconds() // 3600)
    query = sql.SQL(_FUNCTION).format(
        function=function,
        key_type=sql.SQL(KEY_TYPE),
        low_runway=LOW_RUNWAY_DAYS,
        max_age=sql.Literal(f"{hours} hours"),
        last_success=last_success,
        of_another=sql.SQL(OF_ANOTHER),
    )
    with translated(f"the function {NAME}"):
        await session.execute(query)
    return f"{TableName(schema=history.runs.schema, name=NAME)}(parent regclass, …)"
