from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import growth_report, plot, readme, report, soak
from bench.growth_report import FLAT, LINEAR, Group, Series
from bench.loads import COPIED, CREATED, Plan, loads
from bench.plot import Curve, Panel
from bench.rounds import Rounds, Spread
from bench.servers import BARE, OURS, SQLITE
from bench.soak import Sample
from bench.starting import Start, Starts
from bench.trend import trend
from bench.wrk import Measured

MACHINE = (
    "- machine: an example\n- system: Linux\n- Python 3\n- commit abc, at 2026-01-02 03:04 UTC\n"
    "- command: `python -m bench`"
)
LOADS = [load for load in loads(Plan(10_000, full=False)) if load.name == COPIED]


def measured(rate: float, p50_ms: float = 1.0, cpu_us: float = 50.0) -> Measured:
    return Measured(int(rate), 1.0, p50_ms, 2 * p50_ms, cpu_us, 0)


def findings(ours: list[float], bare: list[float], *, threads: int = 1_000_000) -> report.Findings:
    found = {
        OURS: [measured(rate) for rate in ours],
        BARE: [measured(rate) for rate in bare],
        SQLITE: [measured(rate / 2) for rate in ours],
    }
    rounds = Rounds({COPIED: found}, [0.2], [0.4], [2.0], [9.0], 3)
    start = Start(0.5, 4.0, 50e6, 0.5)
    starts = Starts(start, start, Start(0.9, 20.0, 50e6 + 40 * threads, 0.5), threads)
    counted = {OURS: {COPIED: 0.04}}
    return report.Findings(LOADS, rounds, 1, counted, {OURS: 60 << 20}, starts)


def rows(text: str) -> dict[str, list[str]]:
    return {row[0]: row for table in reversed(readme.tables(text)) for row in table}


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The machine was ten times slower in the second round, for both.
    rounds = findings([900, 80, 850], [1000, 100, 1000]).rounds
    assert rounds.ratio(COPIED, OURS, BARE).median == pytest.approx(0.85)
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)


def test_a_round_that_was_broken_off_does_not_count() -> None:
    rounds = findings([900, 800], [1000, 1000, 1000]).rounds
    rounds.cut()
    assert rounds.count == 2
    assert len(rounds.measured[COPIED][BARE]) == 2


def test_the_report_says_of_each_goal_whether_it_was_met() -> None:
    said = rows(report.render(findings([900], [1000]), "2026-01-02", MACHINE))
    assert said[COPIED][:4] == [COPIED, "**0.90** (0.90 to 0.90)", "≥ 0.85", "yes"]
    assert said[COPIED][4:6] == ["2.00 (≥ 1.5)", "yes"]
    assert said[COPIED][-1] == "0.040"
    limits = {name: row for name, row in said.items() if "p99 of appends" in name}
    assert next(iter(limits.values()))[1:] == [
        "**4.50** (4.50 to 4.50) times",
        "≤ 3 times",
        "**no**",
    ]
    memory = next(row for name, row in said.items() if "memory for each" in name)
    assert memory[1:] == ["40 bytes", "≤ 64 bytes", "yes"]


def test_a_ratio_below_its_goal_is_not_met() -> None:
    said = rows(report.render(findings([800], [1000]), "2026-01-02", MACHINE))
    assert said[COPIED][3] == "**no**"


def test_a_create_is_also_compared_to_a_handler_that_makes_files() -> None:
    found = findings([900], [1000])
    found.rounds.measured[CREATED] = {
        OURS: [measured(400), measured(40)],
        BARE: [measured(1000), measured(100)],
    }
    found.rounds.file_rates = [500, 50]
    said = rows(report.render(found, "2026-01-02", MACHINE))
    name, floor, *_ = next(row for row in said.values() if "makes a small file" in row[0])
    assert floor == "**0.50** (0.50 to 0.50)"
    assert "comes to **0.80** (0.80 to 0.80) of that" in name


def test_few_threads_say_nothing_of_the_memory_of_each() -> None:
    said = rows(report.render(findings([800], [1000], threads=10_000), "2026-01-02", MACHINE))
    memory = next(row for name, row in said.items() if "memory for each" in name)
    assert memory[3] == ""


def test_the_readme_shows_the_newest_full_run_between_its_marks(tmp_path: Path) -> None:
    for name in ("2026-01-01-full.md", "2026-01-02-full.md", "2026-01-03.md", "2026-01-04-soak.md"):
        (tmp_path / name).write_text(report.render(findings([900], [1000]), name, MACHINE))
    newest = readme.newest(tmp_path)
    assert newest == tmp_path / "2026-01-02-full.md"
    text = readme.section(newest.read_text(), "bench/results/2026-01-02-full.md")
    assert "2026-01-02, commit abc, `python -m bench`" in text
    assert f"| {COPIED} | **0.90** (0.90 to 0.90) | ≥ 0.85 | 2.00 (≥ 1.5) |" in text
    whole = readme.replaced(f"before\n{readme.BEGIN}old\n{readme.END}\nafter\n", text)
    assert whole == f"before\n{readme.BEGIN}{text}{readme.END}\nafter\n"
    with pytest.raises(ValueError, match="lacks"):
        readme.replaced("no marks", text)


def growing(expected: str, *cpu_us: float) -> Series:
    points = {10 * 10**n: [measured(1000, cpu_us=each)] for n, each in enumerate(cpu_us)}
    return Series("append", expected, points)


def test_growth_is_judged_by_what_was_expected() -> None:
    assert growing(FLAT, 50, 60, 70).verdict == "yes"
    assert growing(FLAT, 50, 60, 80).verdict == "**no**"
    assert growing(LINEAR, 50, 100, 1000).verdict == "yes"
    assert growing(LINEAR, 50, 100, 9000).verdict == "**no**"
    group = Group("Length", "messages", {"append": growing(FLAT, 50, 60, 70)})
    text = growth_report.table([group], "2026-01-02", MACHINE, "x.svg")
    assert rows(text)["append"][-4:] == ["70 / 1.00", "1.40", "flat", "yes"]


def test_drawings_are_well_formed_and_hold_every_point() -> None:
    curves = [Curve("<a> & b", [(10, 1.0), (1000, 2.5)]), Curve("c", [(10, 0.0), (1000, 1.0)])]
    panels = [Panel("one", "x", "y", curves), Panel("two", "x", "y", curves, logarithmic=True)]
    drawn = ElementTree.fromstring(plot.render(panels))
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 8
    group = Group("Length", "messages", {"append": growing(LINEAR, 50, 60)})
    ElementTree.fromstring(growth_report.drawing([group]))


def test_a_leak_is_told_from_noise_and_from_a_single_peak() -> None:
    noise = [(float(second), 100.0 + second % 3) for second in range(50)]
    assert trend("x", noise, share_max=0.05).is_flat
    assert trend("x", [*noise, (50.0, 900.0)], share_max=0.05).is_flat
    leak = [(second, value + second) for second, value in noise]
    assert not trend("x", leak, share_max=0.05).is_flat
    assert trend("x", leak, share_max=0.05).rise == pytest.approx(49, abs=2)
    assert trend("x", [(x, -y) for x, y in leak], share_max=0.0).is_flat, "a fall is no leak"


def samples(leak_mib: float = 0.0, errors: int = 0) -> list[Sample]:
    return [Sample(5.0 * n, 1000, 20.0, 90 + leak_mib * n, 500, errors) for n in range(1, 100)]


def test_a_soak_ends_well_only_if_it_is_flat_sound_and_without_errors() -> None:
    assert soak.verdict(samples(), is_sound=True)[1]
    assert not soak.verdict(samples(leak_mib=1.0), is_sound=True)[1]
    assert not soak.verdict(samples(errors=1), is_sound=True)[1]
    assert not soak.verdict(samples(), is_sound=False)[1]
