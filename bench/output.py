"""Cases -> one Markdown table each, and a JSON document. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.cases import Case, Goal


def markdown(head: Mapping[str, str], cases: Sequence[Case], missing: Mapping[str, str]) -> str:
    """Every case with its figures, and the goals with what they came to."""
    lines = ["# Benchmark", "", *(f"- {key}: {value}" for key, value in head.items())]
    lines += [f"- {name} is missing: {why}" for name, why in missing.items()]
    for case in cases:
        lines += ["", f"## {case.name[:1].upper()}{case.name[1:]}", "", f"{case.conditions}.", *_table(case)]
    lines += ["", "## Goals", "", "| case | measured | against | is | at most | |", "|---|---|---|---|---|---|"]
    lines += [_goal(case, goal) for case in cases for goal in case.goals]
    return "\n".join(lines) + "\n"


def _table(case: Case) -> Iterable[str]:
    yield from ("", f"| | median {case.unit} | best | peak MB | |", "|---|---|---|---|---|")
    for r in case.results:
        cells = [_figure(r.median), _figure(r.best), _figure(r.peak_mb), r.note.replace("|", "/")]
        yield f"| {r.contestant} | {' | '.join(cells)} |"


def _goal(case: Case, goal: Goal) -> str:
    word = {True: "reached", False: "missed", None: "not measured"}[goal.reached]
    value = "-" if goal.value is None else f"{goal.value:.3g}" if goal.value < 1000 else f"{goal.value:.0f}"  # noqa: PLR2004  # no 1.2e+04
    return f"| {case.name} | {goal.what} | {goal.against} | {value} | {goal.most:g} | {word} |"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004  # two figures are enough


def document(head: Mapping[str, str], cases: Sequence[Case], missing: Mapping[str, str]) -> dict[str, Any]:
    """The same as data."""
    return {
        "conditions": dict(head),
        "missing": dict(missing),
        "cases": [
            {
                "name": case.name,
                "conditions": case.conditions,
                "unit": case.unit,
                "results": [
                    {
                        "contestant": r.contestant,
                        "median": r.median,
                        "best": r.best,
                        "all": list(r.times),
                        "peak_mb": r.peak_mb,
                        "note": r.note,
                    }
                    for r in case.results
                ],
                "goals": [
                    {"what": g.what, "against": g.against, "at_most": g.most, "value": g.value, "reached": g.reached}
                    for g in case.goals
                ],
            }
            for case in cases
        ],
    }
