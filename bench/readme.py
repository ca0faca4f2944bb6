"""Put the newest results into the README, between the two marks of its section "How fast".

    python -m bench.readme [RESULTS.md]

A full run is preferred to a quick one. Everything outside the marks stays as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.machine import RESULTS, ROOT

BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->"
_RATIO_COLUMNS = ("load", "of the bare handler", "goal", "of SQLite", "p50 ms", "p99 ms", "CPU µs")
_LIMIT_COLUMNS = ("what", "measured", "goal")

Table = list[list[str]]
"""Rows of cells, the heads first."""


def main() -> int:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else newest(RESULTS)
    if given is None:
        print("there are no results yet: make bench FULL=1", file=sys.stderr)
        return 1
    readme = ROOT / "README.md"
    link = given.resolve().relative_to(ROOT).as_posix()
    readme.write_text(replaced(readme.read_text(), section(given.read_text(), link)))
    print(f"README.md shows {link}")
    return 0


def newest(folder: Path) -> Path | None:
    """Return the newest results of `make bench`: those of a full run, if there are any."""
    full = sorted(folder.glob("????-??-??-full.md"))
    quick = sorted(folder.glob("????-??-??.md"))
    found = full or quick
    return found[-1] if found else None


def replaced(readme: str, text: str) -> str:
    """Return a README with this text between the marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks {BEGIN.strip()} or {END}")
    return f"{before}{begin}{text}{end}{after}"


def section(results: str, link: str) -> str:
    """Return what the README says of some results, as Markdown.

    Args:
        results: As `report.render` wrote them.
        link: Where they lie.
    """
    said = dict(re.findall(r"^- (machine|system|command): (.*)$", results, re.MULTILINE))
    commit, when = re.findall(r"^- commit (\S+), at (\S+)", results, re.MULTILINE)[0]
    ratios, limits = tables(results)[:2]
    return "\n".join(
        (
            f"{when}, commit {commit}, {said['command']}",
            f"on {said['machine']};",
            f"{said['system']}.",
            f"Medians of the rounds, with quartiles; all of it is in [{link}]({link}).",
            "",
            *_lines(_only(ratios, _RATIO_COLUMNS)),
            "",
            *_lines(_only(limits, _LIMIT_COLUMNS)),
            "",
        )
    )


def tables(text: str) -> list[Table]:
    """Return the tables of a document, in order."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in each.splitlines()
            if not line.startswith("|---")
        ]
        for each in found
    ]


def _only(table: Table, columns: tuple[str, ...]) -> Table:
    places = [table[0].index(column) for column in columns]
    return [[row[place] for place in places] for row in table]


def _lines(table: Table) -> list[str]:
    heads, *rows = table
    return [_line(heads), "|---" * len(heads) + "|", *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
