"""What must be in the data directory, whatever happened to it.

The model knows every unit that was ever handed to storage, in order, and what its asker was told. It
reads the logs' bytes for itself, with the format's `parse` and nothing else of storage, and says what
is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from storage.record import Record, RecordError, parse


class Fate(Enum):
    """What is known of a unit."""

    UNKNOWN = "unknown"
    """No answer, or one that says so: there whole or not at all."""
    THERE = "there"
    """Acknowledged, or seen after a recovery."""
    ABSENT = "absent"
    """Refused, or not seen after a recovery: never to be seen again."""
    GONE = "gone"
    """Its thread was deleted and so, maybe, was its file."""


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(slots=True, eq=False)
class Unit:
    """Lines that stand or fall together.

    Attributes:
        number: Counted over the whole history.
        lines: Path and bytes of each, in order.
        creates: The id of the thread that it creates, or None.
        fate: What is known of it.
        late: In a copy: it was acknowledged in the original after the copy had begun.
    """

    number: int
    lines: tuple[tuple[str, bytes], ...]
    creates: str | None = None
    fate: Fate = Fate.UNKNOWN
    late: bool = False


@dataclass(slots=True)
class Model:
    """Every unit of a history.

    Attributes:
        units: In the order in which they were handed in.
    """

    units: list[Unit] = field(default_factory=list)
    _of_line: dict[tuple[str, bytes], Unit] = field(default_factory=dict)
    _of_data: dict[tuple[str, bytes], Unit] = field(default_factory=dict)

    def plan(self, lines: Iterable[tuple[str, bytes]], creates: str | None = None) -> Unit:
        """Enter a unit that is about to be handed in."""
        unit = Unit(len(self.units), tuple(lines), creates)
        self.units.append(unit)
        for path, line in unit.lines:
            if parse(line).kind != "h":
                assert (path, line) not in self._of_line, "every line of a history is its own"
                self._of_line[path, line] = unit
                self._of_data[path, parse(line).data] = unit
        return unit

    def fork(self, sure: set[int]) -> Model:
        """Return the model of a copy that began when these units were acknowledged."""
        copy = Model()
        for unit in self.units:
            twin = copy.plan(unit.lines, unit.creates)
            if unit.fate is Fate.ABSENT or unit.number in sure:
                twin.fate = unit.fate
            twin.late = unit.fate is Fate.THERE and unit.number not in sure
        return copy

    def unit_of(self, path: str, data: bytes) -> Unit | None:
        """Return the unit that wrote an object."""
        return self._of_data.get((path, data))

    def paths(self) -> list[str]:
        """Return every log that anything was ever meant for."""
        return sorted({path for unit in self.units for path, _ in unit.lines})

    def observe(self, contents: Mapping[str, bytes], *, adopted: bool = False) -> None:
        """Compare the logs with what was promised, and learn what became of the unknown.

        Args:
            contents: Each log's bytes, by path.
            adopted: A copy was adopted since the last look: its tail may have been tidied.

        Raises:
            Violation: Something acknowledged is missing, something refused is there, half a unit
                is there, or the order is not that of the acknowledgements.
        """
        found: dict[str, list[Record]] = {}
        seen: dict[int, set[tuple[str, bytes]]] = {}
        buried = self._buried(contents) if adopted else set()
        for path, data in sorted(contents.items()):
            found[path] = []
            last = -1
            for line in _split(path, data):
                record = _sound(path, line)
                found[path].append(record)
                if record.kind == "h":
                    continue
                unit = self._of_line.get((path, line))
                if unit is None and record.kind == "y" and record.data[7:46].decode() in buried:
                    unit = self.plan([(path, line)])
                if unit is None:
                    raise Violation(f"{path}: nobody wrote {line[:120]!r}")
                if unit.number < last:
                    raise Violation(f"{path}: unit {unit.number} stands behind unit {last}")
                last = unit.number
                if (path, line) in seen.setdefault(unit.number, set()):
                    raise Violation(f"{path}: a line of unit {unit.number} is there twice")
                seen[unit.number].add((path, line))
            _check_sequences(path, found[path])
        ends: dict[str, int] = {}
        for number, lines in seen.items():
            for path, _ in lines:
                ends[path] = max(ends.get(path, -1), number)
        gone = self._gone(found)
        for unit in self.units:
            if any(path in gone for path, _ in unit.lines):
                unit.fate = Fate.GONE
            if unit.fate is Fate.GONE:
                continue
            its = seen.get(unit.number, set())
            gap = [path for path, _ in unit.lines if unit.number < ends.get(path, -1)]
            if unit.late and not its and gap and unit.creates not in buried:
                raise Violation(f"{gap[0]}: unit {unit.number} is missing before later ones")
            self._settle(unit, its, contents, buried)
            unit.late = False

    def lost(self, contents: Mapping[str, bytes]) -> str:
        """Say which acknowledged unit is not in the logs just now; empty when all are."""
        lines = {path: set(_split(path, data)) for path, data in contents.items()}
        for unit in self.units:
            for path, line in unit.lines if unit.fate is Fate.THERE else ():
                if line not in lines.get(path, ()) and parse(line).kind != "h":
                    return f"unit {unit.number} was acknowledged and is lost: {_short(unit)}"
        return ""

    def _settle(
        self,
        unit: Unit,
        seen: set[tuple[str, bytes]],
        contents: Mapping[str, bytes],
        buried: set[str],
    ) -> None:
        expected = {each for each in unit.lines if parse(each[1]).kind != "h"}
        path = unit.lines[0][0]
        thread = unit.creates or (path[-45:-6] if "/threads/" in path else None)
        if thread in buried and unit.fate is not Fate.THERE:
            unit.fate = Fate.ABSENT
            return
        if seen and seen != expected:
            raise Violation(f"{len(seen)} of {len(expected)} lines of unit {unit.number} are there")
        headers = [path for path, line in unit.lines if parse(line).kind == "h"]
        if seen and not all(path in contents for path in headers):
            raise Violation(f"unit {unit.number} is there without its file")
        if unit.fate is Fate.UNKNOWN:
            unit.fate = Fate.THERE if seen else Fate.ABSENT
        elif unit.fate is Fate.THERE and not seen:
            raise Violation(f"unit {unit.number} was acknowledged and is lost: {_short(unit)}")
        elif unit.fate is Fate.ABSENT and seen:
            raise Violation(f"unit {unit.number} was refused and is there: {_short(unit)}")

    def _gone(self, found: Mapping[str, list[Record]]) -> set[str]:
        """The files of deleted threads that are there no more; they need not be."""
        deleted = {
            record.data[7:46].decode()
            for path, its in found.items()
            if "/threads/" not in path
            for record in its
            if record.kind == "y"
        }
        return {
            path
            for unit in self.units
            for path, _ in unit.lines
            if "/threads/" in path and path not in found and path[-45:-6] in deleted
        }

    def _buried(self, contents: Mapping[str, bytes]) -> set[str]:
        """Threads whose create a copy may have caught half-way, and which it then took out."""
        creates = {
            unit.creates
            for unit in self.units
            if unit.creates is not None and unit.fate is Fate.UNKNOWN
        }
        found = set()
        for path, data in contents.items():
            if "/threads/" in path:
                continue
            for line in _split(path, data):
                thread = _sound(path, line).data[7:46].decode(errors="replace")
                ours = (path, line) in self._of_line
                if parse(line).kind == "y" and not ours and thread in creates:
                    found.add(thread)
        return found


def live(records: Sequence[Record], key_of_id: slice) -> dict[int, bytes]:
    """Return the newest version of each record that was not removed, by key, oldest first."""
    found: dict[int, bytes] = {}
    for record in records:
        if record.kind == "h":
            continue
        key = int(record.data[key_of_id], 16)
        if record.kind in "mt":
            found[key] = record.data
        elif record.kind in "uv" and key in found:
            found[key] = record.data
        elif record.kind in "xy":
            found.pop(key, None)
    return found


def records(path: str, data: bytes) -> list[Record]:
    """Return a log's records.

    Raises:
        Violation: One is not sound.
    """
    return [_sound(path, line) for line in _split(path, data)]


def _split(path: str, data: bytes) -> list[bytes]:
    if data and not data.endswith(b"\n"):
        raise Violation(f"{path}: the log ends in the middle of a line")
    return data.splitlines(keepends=True)


def _sound(path: str, line: bytes) -> Record:
    try:
        return parse(line)
    except (RecordError, ValueError, IndexError) as error:
        raise Violation(f"{path}: {error}: {line[:80]!r}") from error


def _check_sequences(path: str, found: list[Record]) -> None:
    if [each.kind for each in found[:1]] != ["h"] or any(each.kind == "h" for each in found[1:]):
        raise Violation(f"{path}: the header is not where it belongs, {len(found)} records")
    numbers = [each.sequence for each in found[1:] if each.kind not in "uxvy"]
    if "/threads/" not in path:
        numbers = [each.sequence for each in found[1:]]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Violation(f"{path}: the records are {numbers}")


def _short(unit: Unit) -> str:
    return ", ".join(f"{path} {line[26:120]!r}" for path, line in unit.lines)
