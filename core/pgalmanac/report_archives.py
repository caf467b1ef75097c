"""What archives hold -> text for people, a JSON document, an exit code. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import humanize

from pgalmanac.amounts import byte_size
from pgalmanac.archive_list import Archived
from pgalmanac.archives import TableArchives
from pgalmanac.log import shown
from pgalmanac.report_json import SCHEMA, to_text

__all__ = ["archives_code", "archives_json", "archives_text"]

_TROUBLE: Final = 1


def archives_code(tables: Sequence[TableArchives]) -> int:
    """0, or 1 when something is wrong with one of them."""
    return _TROUBLE if any(a.trouble for t in tables for a in t.archived) else 0


def archives_text(tables: Sequence[TableArchives]) -> str:
    """A line each, oldest first; what is wrong below it."""
    lines: list[str] = []
    for table in tables:
        lines.append(f"{shown(table.table)}: {len(table.archived)} archived in {shown(table.url)}")
        for one in table.archived:
            lines.append(f"  {_line(one)}")
            if one.trouble is not None:
                lines.append(f"      {shown(one.trouble)}")
    return "\n".join(lines)


def _line(one: Archived) -> str:
    name = one.url.rpartition("/")[2]
    if one.manifest is None:
        return f"! {shown(name)}"
    made = one.manifest
    size = byte_size(made.bytes)
    mark = "!" if one.trouble else " "
    return (
        f"{mark} {shown(name):<22} {humanize.intcomma(made.rows):>14} rows {size:>11}  archived {made.written_at[:19]}"
    )


def archives_json(tables: Sequence[TableArchives]) -> str:
    """The same with everything a manifest says but the structure."""
    documents = [{"table": t.table, "url": t.url, "archives": [_document(a) for a in t.archived]} for t in tables]
    return to_text({"schema": SCHEMA, "command": "archives", "exit_code": archives_code(tables), "tables": documents})


def _document(one: Archived) -> dict[str, Any]:
    made = one.manifest
    if made is None:
        return {"url": one.url, "trouble": one.trouble}
    return {
        "url": one.url,
        "partition": str(made.name),
        "period": made.period,
        "lower": made.lower,
        "upper": made.upper,
        "rows": made.rows,
        "bytes": made.bytes,
        "min": made.min,
        "max": made.max,
        "files": [f.name for f in made.files],
        "run_id": made.run_id,
        "archived_at": made.written_at,
        "trouble": one.trouble,
    }
