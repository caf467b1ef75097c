"""Findings about logical replication that lists partitions by name, and so misses those made since. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pgalmanac.findings import Code, Finding, warning
from pgalmanac.model import Listing, Partition, RelationKind
from pgalmanac.table_names import quote
from pgalmanac.view import View

__all__ = ["replication"]


def replication(seen: View) -> Iterator[Finding]:
    """What nobody replicates although its elder siblings are: no error tells of that, and no row arrives.

    A subscription is to be refreshed again and again, and takes up only what the publisher has by then: so it is spoken
    of when the first partition that it does not know is near. A publication is mended once and for all, and not spoken
    of where another one has all of the table, as on the way from the one to the other.
    """
    ranged = seen.table.ranged
    published = any(not listing.subscription and seen.table.oid in listing.oids for listing in seen.table.listings)
    for listing in seen.table.listings:
        places = [place for place, partition in enumerate(ranged) if partition.oid in listing.oids]
        if seen.table.oid in listing.oids or not places:
            continue
        # Of one that is partitioned itself its own partitions are replicated.
        later = [p for p in ranged[places[-1] + 1 :] if p.kind is RelationKind.TABLE]
        if later and not listing.subscription and not published:
            yield _incomplete(seen, listing, ranged[places[-1]], later)
        elif later and listing.subscription and _near(seen, later[0]):
            yield _stale(seen, listing, ranged[places[-1]], later)


def _near(seen: View, partition: Partition) -> bool:
    """Whether it begins within the days for which the runway is watched; what premake has just made does not."""
    lower = partition.bounds.lower if partition.bounds is not None else None
    return lower is not None and lower < seen.day(max(seen.policy.low_runway_days, 1))


def _stale(seen: View, listing: Listing, newest: Partition, later: list[Partition]) -> Finding:
    name = quote(listing.name)
    return warning(
        Code.SUBSCRIPTION_STALE,
        f"the subscription {name} has partitions of {seen.table.name} up to {newest.name} and not {_named(later)}, so "
        "that nothing arrives there; as soon as the publisher has them too, run "
        f"ALTER SUBSCRIPTION {name} REFRESH PUBLICATION",
    )


def _incomplete(seen: View, listing: Listing, newest: Partition, later: list[Partition]) -> Finding:
    name = quote(listing.name)
    return warning(
        Code.PUBLICATION_INCOMPLETE,
        f"the publication {name} lists partitions of {seen.table.name} up to {newest.name} and not {_named(later)}, so "
        "that its subscribers do not get their rows; this publishes all of them: "
        f"ALTER PUBLICATION {name} ADD TABLE {seen.table.name}",
    )


def _named(later: list[Partition]) -> str:
    return f"{later[0].name}" if len(later) == 1 else f"{later[0].name} and {len(later) - 1} later"
