"""The archives of the configured tables: looked at, and nothing changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pgalmanac.archive_list import Archived, archived
from pgalmanac.catalog import inspect
from pgalmanac.config import Settings
from pgalmanac.db import connect
from pgalmanac.discovery import requested_or_chosen
from pgalmanac.plan_archive import target_of

__all__ = ["TableArchives", "archives"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableArchives:
    """One table and what its archive holds."""

    table: str
    url: str
    archived: tuple[Archived, ...]


async def archives(settings: Settings) -> tuple[TableArchives, ...]:
    """What is archived of each table. Raises ConfigError where none is configured, ArchiveError where it is not had."""
    found: list[TableArchives] = []
    async with connect(settings.dsn, read_only=True) as session:
        only = None if settings.only is None else (settings.only,)
        for ref in only or await requested_or_chosen(session, settings.requested):
            name = (await inspect(session, ref)).name
            target = target_of(settings.policy(name))
            listed = await asyncio.to_thread(archived, target, name)
            found.append(TableArchives(table=str(name), url=target.url, archived=listed))
    return tuple(found)
