"""How the table grows: rows and bytes of each day as a line of bars, what they come to, and when the disk is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from pgalmanac.forecast import Forecast, forecast
from pgalmanac_tui.almanac import Almanac, Day
from pgalmanac_tui.format import Line, amount, bars, clean, day_title, size
from pgalmanac_tui.glyphs import Glyphs

__all__ = ["growth"]

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7
_YEAR: Final = 365
_SOON_DAYS: Final = 30
_LABEL: Final = 9
# A bar ends at so many times the usual day, so that one incident does not flatten all others.
_CUT: Final = 2.5


def growth(almanac: Almanac, cells: int, glyphs: Glyphs) -> tuple[Line, ...]:
    """The forecast of the sizes that runs measured, and the days up to yesterday as the server estimates them now."""
    return (*_forecast(almanac, glyphs), *_days(almanac, cells, glyphs))


def _forecast(almanac: Almanac, glyphs: Glyphs) -> Iterator[Line]:
    found = forecast(almanac.view, almanac.state.sizes)
    if found is None and (why := almanac.state.past.unavailable) is not None:
        yield ((f"  the run history cannot be read, so there is no forecast: {clean(why)}", "dim"),)
        return
    if found is None:
        yield (("  no run has measured it yet, so there is no forecast; each maintenance does  ", "dim"), ("m", "key"))
        return
    rows, daily = amount(round(found.rows_a_day), glyphs, exact=False), size(round(found.bytes_a_day), glyphs)
    yield (("  grows by ", ""), (f"{rows} rows, {daily} a day", "strong"), (", as the last four weeks did", "dim"))
    now = sum(c.bytes or 0 for c in almanac.state.counts.values())
    if found.horizon_bytes is None:
        more = size(round(found.bytes_a_day * _YEAR), glyphs)
        yield (("  it is kept for ever: in a year it holds ", ""), (f"{more} more", "strong"))
    else:
        text = f"  with all {almanac.view.policy.retention_days} days of retention it holds "
        yield ((text, ""), (size(found.horizon_bytes, glyphs), "strong"))
    yield ((f"  it holds {size(now, glyphs)}; ", ""), *_limit(almanac, found))


def _limit(almanac: Almanac, found: Forecast) -> Line:
    limit = almanac.view.policy.disk_limit_gb
    if limit is None:
        return (("no disk_limit_gb is set", "dim"),)
    if found.full_on is None:
        return ((f"at this pace its limit of {limit} GB is never reached", "ok"),)
    days = (found.full_on - almanac.today).days
    if days <= 0:
        return ((f"its limit of {limit} GB is reached", "critical"),)
    when = f"in {days} day{'' if days == 1 else 's'}, on {found.full_on.day} {found.full_on:%b %Y}"
    return ((f"its limit of {limit} GB is reached {when}", "warning" if days <= _SOON_DAYS else "accent"),)


def _days(almanac: Almanac, cells: int, glyphs: Glyphs) -> Iterator[Line]:
    """Up to yesterday: today is not over."""
    last = almanac.today - _DAY
    count = min(max(cells - _LABEL - 1, 1), (last - almanac.first).days + 1)
    if count < 1:
        return
    days = [almanac.day(last - _DAY * back) for back in reversed(range(count))]
    rows, sizes = [day.rows or 0 for day in days], [day.bytes or 0 for day in days]
    if not any(rows):
        return
    for label, values in (("rows", rows), ("size", sizes)):
        yield ((f"  {label:<{_LABEL - 2}}", "dim"), (bars(values, _top(values), glyphs), "heat3"))
    left, right = (f"{d.date.day} {d.date:%b %Y}" for d in (days[0], days[-1]))
    room = count - len(left) - len(right)
    yield ((" " * _LABEL + (f"{left}{' ' * room}{right}" if room > 0 else right), "edge"),)
    yield _told(days, glyphs)
    if count >= 2 * _WEEK and (before := sum(rows[-2 * _WEEK : -_WEEK])):
        yield _weeks(sum(rows[-_WEEK:]), before, glyphs)


def _top(values: Sequence[int]) -> float:
    """What a full bar stands for."""
    filled = sorted(v for v in values if v)
    return min(filled[-1], filled[len(filled) // 2] * _CUT) if filled else 1


def _told(days: Sequence[Day], glyphs: Glyphs) -> Line:
    filled = sorted(day.rows for day in days if day.rows)
    most = max(days, key=lambda day: day.rows or 0)
    usual = amount(filled[len(filled) // 2], glyphs, exact=False)
    return (
        (f"  usual are {usual} rows a day; most were ", ""),
        (f"{amount(most.rows, glyphs, exact=most.exact)} on {day_title(most.date)}", "strong"),
        (" (cut off)" if (most.rows or 0) > _top([day.rows or 0 for day in days]) else "", "dim"),
    )


def _weeks(last: int, before: int, glyphs: Glyphs) -> Line:
    change = round((last - before) * 100 / before)
    word = "as many as" if not change else f"{abs(change)}% {'more' if change > 0 else 'fewer'} than"
    return ((f"  the last 7 days have {amount(last, glyphs, exact=False)} rows, {word} the 7 before", ""),)
