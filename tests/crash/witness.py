"""What storage was handed in one life and what it said of it, told to the model at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from storage.append import Append
from storage.errors import Overloaded, StorageError, WriteFailed, WriteRefused
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Contents, Violation, live, read_logs, thread_of
from tests.crash.model import Fate, Model, Unit


class Witness:
    """Stands beside the committer's door in one life.

    Attributes:
        model: Of the whole history.
        answered: Units by what their askers were told.
        flying: Units that have no answer yet.
        newest: By log and key, the unit that was acknowledged last for a record that is live.
        removed: By log, the keys whose deletion was acknowledged.
    """

    def __init__(self, model: Model, disk: FakeDisk) -> None:
        self.model = model
        self.answered = {"acknowledged": 0, "failed": 0, "refused": 0}
        self.flying = 0
        self.newest: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.removed: defaultdict[str, set[int]] = defaultdict(set)
        self._disk = disk
        self._acknowledged: dict[str, int] = {}

    def begin(self, contents: Contents) -> None:
        """Take in what the start of this life has found, once the model has seen it too."""
        for path, records in read_logs(contents).items():
            for key, data in live(records).items():
                unit = self.model.unit_of(path, data)
                assert unit is not None
                self.newest[path][key] = unit.number

    def plan(self, appends: Sequence[Append]) -> Unit:
        """Note a unit that is about to be handed in."""
        self.flying += 1
        lines = [(each.log.path, each.key, each.line) for each in appends]
        entry = next((each.line for each in appends if each.kind == "t"), None)
        return self.model.plan(lines, None if entry is None else thread_of(entry))

    def told(self, unit: Unit, appends: Sequence[Append], error: StorageError | None) -> None:
        """Note what storage says of it.

        Raises:
            Violation: That cannot be.
        """
        self.flying -= 1
        if error is None:
            self._acknowledge(unit, appends)
            unit.fate = Fate.THERE
        elif isinstance(error, WriteRefused):
            unit.fate = Fate.ABSENT
        elif not isinstance(error, WriteFailed):
            raise Violation(f"unit {unit.number} was answered with {error!r}")
        late = "waits for its checkpoint" in str(error) or isinstance(error, Overloaded)
        if error is not None and not self._disk.faults.injected and not late:
            raise Violation(f"unit {unit.number} failed though nothing was wrong: {error}")
        word = {Fate.THERE: "acknowledged", Fate.ABSENT: "refused", Fate.UNKNOWN: "failed"}
        self.answered[word[unit.fate]] += 1

    def _acknowledge(self, unit: Unit, appends: Sequence[Append]) -> None:
        for each in appends:
            path = each.log.path
            if unit.number < self._acknowledged.get(path, -1):
                raise Violation(f"{path}: unit {unit.number} was overtaken")
            self._acknowledged[path] = unit.number
            if each.kind in "mutv":
                self.newest[path][each.key] = unit.number
            elif each.kind in "xy":
                self.newest[path].pop(each.key, None)
                self.removed[path].add(each.key)
                if each.log.index.find(each.key) is not None:
                    raise Violation(f"{path}: {each.key} was deleted and is still listed")

    def check_object(self, path: str, key: int, data: bytes, least: int) -> None:
        """Insist that what a record reads as was written, and is as new as it must be.

        Args:
            path: Of the log.
            key: Of the record.
            data: What was read.
            least: The number of the unit that was acknowledged last when the read began, or -1.

        Raises:
            Violation: Nobody wrote it there, or it is an older version.
        """
        unit = self.model.unit_of(path, data)
        if unit is None or unit.fate is Fate.ABSENT or unit.number < least:
            raise Violation(f"{path}: {key} reads as {data[:80]!r}")

    def may_be_removed(self, path: str, key: int) -> bool:
        """Tell whether a deletion of a record was handed in that may have come to pass."""
        return key in self.removed[path] or any(
            line.path == path and line.key == key and line.kind in "xy"
            for unit in self.model.units
            if unit.fate is not Fate.ABSENT
            for line in unit.lines
        )
