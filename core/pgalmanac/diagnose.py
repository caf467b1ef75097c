"""(snapshot, policy, plan, past runs) -> findings. Pure; check, the dashboard and the metrics share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from pgalmanac.actions import GOING, Guard, Status
from pgalmanac.amounts import byte_size
from pgalmanac.diagnose_coverage import coverage, gaps, not_created
from pgalmanac.diagnose_default import default_partition
from pgalmanac.diagnose_replication import replication
from pgalmanac.findings import Code, Finding, PastRuns, critical, info, warning
from pgalmanac.model import Bounds, Mark, Partition, PartitionedTable
from pgalmanac.plan import Plan
from pgalmanac.recovery import way_back, way_out
from pgalmanac.table_names import TableName, quote
from pgalmanac.view import View, unmanaged

__all__ = ["OF_ANOTHER", "SUCCESS_MAX_AGE", "diagnose", "of_status", "pg_partman_unread", "stop_pg_partman"]

SUCCESS_MAX_AGE: Final = timedelta(hours=26)
OF_ANOTHER: Final = ": the runs of that name were of a table that is no more, as after a restore"


def diagnose(seen: View, plan: Plan | None, past: PastRuns | None) -> tuple[Finding, ...]:
    """Everything worth saying about a table. *plan* is what the next maintain would do, *past* its run history."""
    return (
        *coverage(seen),
        *_left_behind(seen),  # before the gaps that it makes
        *gaps(seen),
        *default_partition(seen, plan),
        *_kept(seen),
        *(_planned(seen, plan) if plan is not None else ()),
        *_catalog(seen),
        *replication(seen),
        *(_history(seen, past) if past is not None else ()),
    )


def of_status(seen: View) -> tuple[Finding, ...]:
    """What is to be said beside a list of the partitions: rows that are in none of them, figures that are not there."""
    return (*_left_behind(seen), *_breakdown(seen))


def _left_behind(seen: View) -> Iterator[Finding]:
    """What a run, or somebody, began to detach and did not end: its rows are not seen through the table."""
    for partition in seen.table.pending:
        whose = "" if partition.mark is not None and not partition.mark.arrived else "begun by somebody else and "
        message = f"detaching {partition.name} was {whose}not finished; pgalmanac maintain finishes it"
        yield warning(Code.DETACH_PENDING, message, str(partition.name))
    for orphan in seen.table.orphans:
        if not orphan.cut_off:
            continue
        yield warning(Code.ORPHAN_TABLE, _orphan_text(seen, orphan.name, orphan.mark, orphan.bounds), str(orphan.name))
    if seen.table.estranged:
        first, more = seen.table.estranged[0], len(seen.table.estranged) - 1
        subject = f"{first} was" if not more else f"{first} and {more} more were"
        yield warning(
            Code.ORPHAN_TABLE,
            f"{subject} dropped from {seen.table.name} before this server got another system identifier, as pg_upgrade "
            "gives it: nothing drops or brings back such a table until its mark is renewed (docs/recovery.md)",
            str(first),
        )


def _kept(seen: View) -> Iterator[Finding]:
    """What stays although it is past retention, because somebody wants it to, and what can be had back."""
    for partition in seen.table.partitions:
        if seen.expired(partition.bounds) and seen.pinned(partition.pin):
            message = f"{partition.name} is past retention and stays: {partition.pin}"
            yield info(Code.PINNED, message, str(partition.name))
    for orphan in seen.table.orphans:
        if orphan.taken_out:
            yield info(
                Code.TRASH,
                f"{orphan.name} was dropped from {seen.table.name} and moved by somebody since: nothing drops it any"
                f" more; {way_back(seen, orphan.name)}, {way_out(seen, orphan.name)}",
                str(orphan.name),
            )
    trash = [o for o in seen.table.orphans if o.in_trash]
    if not trash:
        return
    schemas = ", ".join(sorted({quote(o.name.schema) for o in trash}))
    size = sum(o.bytes for o in trash)
    until = min((o.mark.keep_until for o in trash if o.mark.keep_until is not None), default=seen.table.now)
    noun = "table" if len(trash) == 1 else "tables"
    yield info(
        Code.TRASH,
        f"{len(trash)} dropped {noun} of {seen.table.name} can be had back from {schemas}"
        f" (about {byte_size(size)}), the first until {until.astimezone(seen.policy.timezone):%Y-%m-%d %H:%M %Z};"
        " pgalmanac trash lists them",
    )


def _orphan_text(seen: View, name: TableName, mark: Mark, bounds: Bounds) -> str:
    unseen = f"queries on {seen.table.name} do not see its rows"
    back = way_back(seen, name)
    if mark.keep_until is not None:
        return (
            f"{name} was detached and has not reached the trash ({unseen}); pgalmanac maintain brings it there, {back}"
        )
    if mark.manual or (seen.policy.may_drop and seen.expired(bounds)):
        return f"{name} was detached to be dropped and is still there ({unseen}); {back}, pgalmanac maintain drops it"
    return f"{name} was detached to be dropped and today's retention keeps it ({unseen}); {back}"


def _planned(seen: View, plan: Plan) -> Iterator[Finding]:
    """What the next maintain would skip or refuse, and the partitions it will never touch."""
    yield from _refused(seen, plan)
    skipped = {a.oid: a for a in plan.actions if a.kind in GOING and a.status is Status.SKIPPED}
    alike: dict[tuple[bool, str], list[Partition]] = {}
    for partition in seen.table.partitions:
        why = unmanaged(seen, partition)
        if seen.expired(partition.bounds) and seen.pinned(partition.pin):
            continue
        action = skipped.get(partition.oid)
        if why is not None:
            alike.setdefault((action is not None, why), []).append(partition)
        elif action is not None:
            message = f"{partition.name} is past retention and stays: {action.note}"
            yield warning(Code.DROP_BLOCKED, message, str(partition.name))
    for (expired, why), partitions in alike.items():
        yield _never(partitions, why, expired=expired)
    for orphan in seen.table.orphans:
        if (action := skipped.get(orphan.oid)) is not None and not seen.pinned(orphan.pin):
            yield warning(Code.DROP_BLOCKED, f"{orphan.name} stays: {action.note}", str(orphan.name))
    yield from not_created(seen, plan)
    if not seen.policy.may_drop and any(seen.expired(p.bounds) for p in seen.table.ranged):
        yield info(
            Code.RETENTION_UNSET,
            f"nothing is dropped from {seen.table.name}, for which nobody set a retention; "
            'set retention_days, or retention_days = "forever"',
        )


def _never(partitions: Sequence[Partition], why: str, *, expired: bool) -> Finding:
    """What stays for one reason; a table that somebody made in another way than ours is one finding and not a page."""
    subject = str(partitions[0].name)
    if len(partitions) > 1:
        subject = f"each of {subject} .. {partitions[-1].name} ({len(partitions)})"
    says = "is past retention and stays" if expired else "is never dropped"
    finding = warning if expired else info
    one = str(partitions[0].name) if len(partitions) == 1 else None
    return finding(Code.UNMANAGED_PARTITION, f"{subject} {says}: {why}", one)


def _refused(seen: View, plan: Plan) -> Iterator[Finding]:
    """What does not go: one by one where the trash has no place for it, all of it for the fuse and the clock."""
    refused = [a for a in plan.actions if a.kind in GOING and a.status is Status.REFUSED]
    for action in refused:
        if action.guard is Guard.TRASH:
            yield warning(Code.DROP_BLOCKED, f"{action.partition} stays: {action.note}", str(action.partition))
    for code, guard in ((Code.FUSE, Guard.FUSE), (Code.CLOCK, Guard.CLOCK)):
        stopped = next((a for a in refused if a.guard is guard), None)
        if stopped is not None:
            yield warning(code, f"nothing is dropped from {seen.table.name}: {stopped.note}")
            return


def _catalog(seen: View) -> Iterator[Finding]:
    for grant in seen.table.missing_grants:
        yield critical(Code.PRIVILEGE, f"this role cannot maintain {seen.table.name}; missing: {grant}")
    for index in seen.table.invalid_indexes:
        yield warning(Code.INDEX_INVALID, f"the index {index} of {seen.table.name} is invalid; finish or drop it")
    yield from _breakdown(seen)
    if (stop := stop_pg_partman(seen.table)) is not None:
        yield warning(
            Code.PG_PARTMAN,
            f"pg_partman's part_config lists {seen.table.name} too, and only one should maintain it; "
            f"this stops pg_partman: {stop}",
        )
    if not seen.policy.retention_agreed and (why := pg_partman_unread(seen.table)) is not None:
        yield warning(Code.PG_PARTMAN, f"{why}; until then, or until retention_days is set, nothing is dropped")


def _breakdown(seen: View) -> Iterator[Finding]:
    """That reports cannot break down by the column that somebody named."""
    wanted = seen.policy.breakdown
    if wanted is not None and wanted not in seen.table.columns:
        yield info(
            Code.BREAKDOWN_UNKNOWN,
            f"{seen.table.name} has no column {quote(wanted)}, so that reports break nothing down by it; "
            "correct the setting breakdown",
        )


def stop_pg_partman(table: PartitionedTable) -> str | None:
    """The statement after which pg_partman leaves the table alone; None where it does already."""
    if table.pg_partman is None or table.pg_partman_unread:
        return None
    listed = f"{table.name.schema}.{table.name.name}".replace("'", "''")
    return f"DELETE FROM {quote(table.pg_partman)}.part_config WHERE parent_table = '{listed}'"


def pg_partman_unread(table: PartitionedTable) -> str | None:
    """That nobody knows whether pg_partman maintains the table, and the GRANTs that would tell."""
    if table.pg_partman is None or not table.pg_partman_unread:
        return None
    schema = quote(table.pg_partman)
    return (
        f"whether pg_partman maintains {table.name} is in {schema}.part_config, which cannot be read: "
        f"GRANT USAGE ON SCHEMA {schema} and SELECT ON {schema}.part_config, unless it was only locked"
    )


def _history(seen: View, past: PastRuns) -> Iterator[Finding]:
    name = seen.table.name
    if past.unavailable is not None:
        yield warning(Code.HISTORY_UNAVAILABLE, f"the run history of {name} cannot be read: {past.unavailable}")
        return
    if past.last_failed is not None:
        yield warning(Code.LAST_RUN_FAILED, f"the last run of {name} ended in error: {past.last_failed}")
    if past.last_success is None:
        why = OF_ANOTHER if past.table_is_new else ""
        yield warning(
            Code.LAST_SUCCESS_OLD, f"no successful maintenance of {name} is recorded{why}; run pgalmanac maintain"
        )
    elif seen.table.now - past.last_success > SUCCESS_MAX_AGE:
        hours = int((seen.table.now - past.last_success).total_seconds() // 3600)
        yield critical(
            Code.LAST_SUCCESS_OLD, f"the last successful run of {name} was {hours} hours ago; is the timer running?"
        )
    yield from _shrinking(seen, past)


def _shrinking(seen: View, past: PastRuns) -> Iterator[Finding]:
    until = seen.covered_until
    if (
        past.covered_until is not None
        and past.covered_until > seen.now
        and (until is None or until < past.covered_until)
    ):
        day = seen.calendar.shown(past.covered_until).date()
        yield warning(
            Code.SHRINKING,
            f"{seen.table.name} was covered up to {day} after the last run, and no longer is; who drops partitions?",
        )
    elif past.partitions is not None and len(seen.table.partitions) < past.partitions:
        gone = past.partitions - len(seen.table.partitions)
        noun = "partition is" if gone == 1 else "partitions are"
        yield warning(Code.SHRINKING, f"{gone} {noun} gone from {seen.table.name} that no run of pgalmanac dropped")
