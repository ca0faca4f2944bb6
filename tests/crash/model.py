"""What must be in the data directory, whatever happened to it.

The model knows every unit that was ever handed to storage, in order, and what its asker was told.
It reads the logs' bytes for itself, with the format's `parse` and nothing else of storage, and says
what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from storage.record import Record, parse
from tests.crash.logs import Contents, Violation, first_line, live, read_logs, thread_of


class Fate(Enum):
    """What is known of a unit."""

    UNKNOWN = "unknown"
    """No answer, or one that says so: there whole or not at all."""
    THERE = "there"
    """Acknowledged, or seen after a recovery."""
    ABSENT = "absent"
    """Refused, or not seen after a recovery: never to be seen again."""
    GONE = "gone"
    """Its thread was deleted and its file removed, or a rewrite of its log left nothing of it."""


@dataclass(slots=True, frozen=True)
class Line:
    """A line that was handed in.

    Attributes:
        path: Its log.
        kind: As in the format.
        key: Of the record that it is about.
        data: The object; no two lines of a history have the same.
    """

    path: str
    kind: str
    key: int
    data: bytes


@dataclass(slots=True, eq=False)
class Unit:
    """Lines that stand or fall together.

    Attributes:
        number: Counted over the whole history.
        lines: In order, headers left out.
        paths: Of the logs that it begins or continues.
        creates: The id of the thread that it creates, or None.
        fate: What is known of it.
        late: In a copy: it was acknowledged in the original after the copy had begun.
        adopting: Nobody handed it in: a copy's first start took a thread out that was not whole.
    """

    number: int
    lines: tuple[Line, ...]
    paths: frozenset[str]
    creates: str | None = None
    fate: Fate = Fate.UNKNOWN
    late: bool = False
    adopting: bool = False

    def __str__(self) -> str:
        said = ", ".join(f"{line.path} {line.kind} {line.data[:60]!r}" for line in self.lines)
        return f"unit {self.number} ({said})"


@dataclass(slots=True)
class Model:
    """Every unit of a history.

    Attributes:
        units: In the order in which they were handed in.
    """

    units: list[Unit] = field(default_factory=list)
    _of_data: dict[tuple[str, bytes], Unit] = field(default_factory=dict)

    def plan(self, lines: Iterable[tuple[str, int, bytes]], creates: str | None = None) -> Unit:
        """Enter a unit that is about to be handed in: path, key and bytes of each line."""
        own, paths = [], set()
        for path, key, line in lines:
            record = parse(line)
            paths.add(path)
            if record.kind != "h":
                own.append(Line(path, record.kind, key, record.data))
        return self._enter(tuple(own), frozenset(paths), creates)

    def _enter(self, lines: tuple[Line, ...], paths: frozenset[str], creates: str | None) -> Unit:
        unit = Unit(len(self.units), lines, paths, creates)
        self.units.append(unit)
        for line in lines:
            assert (line.path, line.data) not in self._of_data, "every object is its own"
            self._of_data[line.path, line.data] = unit
        return unit

    def fork(self, sure: set[int]) -> Model:
        """Return the model of a copy that began when these units were acknowledged."""
        copy = Model()
        for unit in self.units:
            twin = copy._enter(unit.lines, unit.paths, unit.creates)
            twin.adopting = unit.adopting
            if unit.fate in (Fate.ABSENT, Fate.GONE) or unit.number in sure:
                twin.fate = unit.fate
            twin.late = unit.fate is Fate.THERE and unit.number not in sure
        return copy

    def unit_of(self, path: str, data: bytes) -> Unit | None:
        """Return the unit that wrote an object."""
        return self._of_data.get((path, data))

    def observe(self, contents: Contents, *, adopted: bool = False) -> None:
        """Compare the logs with what was promised, and learn what became of the unknown.

        Args:
            contents: Each log's bytes, by path.
            adopted: A copy was adopted since the last look: its tail may have been tidied.

        Raises:
            Violation: Something acknowledged is missing, something refused is there, half a unit
                is there, or the order is not that of the acknowledgements.
        """
        logs = read_logs(contents)
        seen, ends = self._identify(logs, self._taken_out(logs) if adopted else set())
        taken_out = self._taken_out(logs)
        removed = self._removed(logs)
        for unit in self.units:
            if unit.fate is Fate.GONE or unit.paths & removed:
                unit.fate = Fate.GONE
                continue
            thread = unit.creates or thread_of(unit.lines[0].path)
            if thread in taken_out and unit.fate is not Fate.THERE:
                unit.fate = Fate.ABSENT
                continue
            its = seen.get(unit.number, set())
            gap = [path for path in unit.paths if unit.number < ends.get(path, -1)]
            whole = all(first_line(logs[path]).generation == 1 for path in unit.paths & logs.keys())
            if unit.late and not its and gap and whole:
                raise Violation(f"{gap[0]}: {unit} is missing before later ones")
            unit.late = False
            self._settle(unit, its, logs)
        self._check_newest(logs)

    def _identify(
        self, logs: Mapping[str, list[Record]], taken_out: set[str]
    ) -> tuple[dict[int, set[Line]], dict[str, int]]:
        """Tell which lines are there, and the last unit in each log, and that they are in order."""
        seen: dict[int, set[Line]] = {}
        ends: dict[str, int] = {}
        for path, records in logs.items():
            compacted = first_line(records).generation > 1
            for record in records[1:]:
                unit = self._of_data.get((path, record.data))
                if unit is None and record.kind == "y" and thread_of(record.data) in taken_out:
                    line = Line(path, "y", int(record.data[14:30], 16), record.data)
                    unit = self._enter((line,), frozenset({path}), None)
                    unit.fate, unit.adopting = Fate.THERE, True
                    seen[unit.number] = {line}
                    continue
                if unit is None:
                    raise Violation(f"{path}: nobody wrote {record.data[:120]!r}")
                if unit.number < ends.get(path, -1) and not compacted:
                    raise Violation(f"{path}: {unit} stands behind unit {ends[path]}")
                ends[path] = max(unit.number, ends.get(path, -1))
                line = next(each for each in unit.lines if each.data == record.data)
                if line in seen.setdefault(unit.number, set()):
                    raise Violation(f"{path}: a line is there twice: {unit}")
                seen[unit.number].add(line)
        return seen, ends

    def _settle(self, unit: Unit, its: set[Line], logs: Mapping[str, list[Record]]) -> None:
        lacking = [line for line in unit.lines if line not in its]
        excused = [line for line in lacking if self._is_rewritten(unit, line, logs)]
        missing = len(lacking) - len(excused)
        if its and not all(path in logs for path in unit.paths):
            raise Violation(f"{unit} is there without its file")
        if its and missing:
            raise Violation(f"{missing} of {len(unit.lines)} lines are missing: {unit}")
        if unit.fate is Fate.THERE and missing:
            raise Violation(f"acknowledged and lost: {unit}")
        if unit.fate is Fate.ABSENT and its:
            raise Violation(f"refused or lost, and there again: {unit}")
        if unit.fate is Fate.UNKNOWN:
            left = Fate.GONE if excused and not missing else Fate.ABSENT
            unit.fate = Fate.THERE if its else left

    def _is_rewritten(self, unit: Unit, line: Line, logs: Mapping[str, list[Record]]) -> bool:
        """Tell whether a line may be missing because its log was rewritten without what is dead."""
        records = logs.get(line.path)
        if records is None or first_line(records).generation == 1:
            return False
        return line.kind in "xy" or any(
            later.number > unit.number and later.fate is not Fate.ABSENT
            for later in self.units
            for each in later.lines
            if each.path == line.path and each.key == line.key and each.kind in "uvxy"
        )

    def _check_newest(self, logs: Mapping[str, list[Record]]) -> None:
        """Insist that what is live is at least as new as what was acknowledged last."""
        newest: dict[tuple[str, int], tuple[Unit, Line]] = {}
        for unit in self.units:
            for line in unit.lines if unit.fate is Fate.THERE else ():
                known = newest.get((line.path, line.key))
                if line.kind in "mt" and known:
                    raise Violation(f"{line.path}: {line.key} was given out twice: {unit}")
                newest[line.path, line.key] = unit, line
        maybe_removed = {
            (line.path, line.key)
            for unit in self.units
            for line in unit.lines
            if unit.fate is Fate.GONE and line.kind in "xy"
        }
        now = {path: live(records) for path, records in logs.items()}
        for (path, key), (unit, line) in newest.items():
            data = now.get(path, {}).get(key)
            if line.kind in "xy" and data is not None:
                raise Violation(f"{path}: {key} was deleted and is back, after {unit}")
            if line.kind not in "xy" and data is None and (path, key) not in maybe_removed:
                raise Violation(f"{path}: {key} is not live any more: {unit}")
            if data is not None and self._of_data[path, data].number < unit.number:
                raise Violation(f"{path}: {key} is older than {unit}")

    def lost(self, contents: Contents) -> None:
        """Insist, while storage runs, that what was acknowledged is in the logs.

        Raises:
            Violation: It is not.
        """
        logs = read_logs(contents)
        found = {(path, each.data) for path, records in logs.items() for each in records}
        removed = self._removed(logs)
        for unit in self.units:
            if unit.fate is not Fate.THERE or unit.paths & removed:
                continue
            for line in unit.lines:
                if (line.path, line.data) in found or self._is_rewritten(unit, line, logs):
                    continue
                raise Violation(f"acknowledged and lost: {unit}")

    def _removed(self, logs: Mapping[str, list[Record]]) -> set[str]:
        """The missing files of threads that somebody deleted and no catalogue lists."""
        listed = {
            thread_of(data)
            for path, records in logs.items()
            if thread_of(path) is None
            for data in live(records).values()
        }
        deleted = {
            thread_of(line.data)
            for unit in self.units
            for line in unit.lines
            if line.kind == "y" and unit.fate is not Fate.ABSENT
        }
        return {
            path
            for unit in self.units
            for path in unit.paths
            if path not in logs and thread_of(path) in deleted - listed
        }

    def _taken_out(self, logs: Mapping[str, list[Record]]) -> set[str]:
        """Threads whose create a copy may have caught half-way, and which adoption took out."""
        creates = {
            unit.creates for unit in self.units if unit.creates and unit.fate is Fate.UNKNOWN
        }
        return creates & {
            thread_of(record.data)
            for path, records in logs.items()
            for record in records
            if record.kind == "y" and self._is_foreign(path, record.data)
        }

    def _is_foreign(self, path: str, data: bytes) -> bool:
        unit = self._of_data.get((path, data))
        return unit is None or unit.adopting
