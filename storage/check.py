"""Read everything, change nothing: is every byte in a data directory still what was written?

It may run beside a server, and on a copy that was never started. What the journal still holds for a
file, and the last line of a file in a copy, may be unfinished: the next start mends that. What a
server may have been writing is looked at again at the end, once the journal is read: what stood in
it by then is excused, and what did not is in its file by now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from storage.datadir import (
    LOCK,
    META,
    ORG_NAME,
    ORGS,
    THREAD_FILE,
    catalog_path,
    org_path,
    read_meta,
    thread_path,
)
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord, DataDirUnusable
from storage.gap import find_gap, read_gap
from storage.kinds import CatalogLog, ThreadLog
from storage.loading import own_sidecar
from storage.record import ADDS, REMOVES
from storage.scan import Line, generation_of, lines, misfit, read_header
from storage.segment import Header, batches
from storage.segment_file import SEGMENTS, segment_header, segment_path
from storage.sidecar_file import Sidecar

Progress = Callable[[int, int], None]

_RESTORE = "restore the file from a backup, or keep what is readable: ragen-actor check --repair"


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
        path: Relative to the data directory.
        offset: Bytes from the start of the file.
        reason: What is wrong.
        hint: What an operator can do.
    """

    path: str
    offset: int
    reason: str
    hint: str = _RESTORE


def check(data_dir: Path, progress: Progress = lambda done, total: None) -> Iterator[Damage]:
    """Yield every damage, file by file.

    Args:
        data_dir: An existing data directory.
        progress: Called after each file with the bytes read so far and those there are.

    Raises:
        DataDirUnusable: This is no data directory, or of another format.
        OSError: It cannot be read.
    """
    disk = Disk(data_dir)
    meta = read_meta(disk)
    if meta is None:
        raise DataDirUnusable(
            f"there is no {META}", path=str(data_dir), hint="name a data directory with --data-dir"
        )
    is_copy = not disk.exists(LOCK) or meta.is_copied(data_dir / LOCK)
    descriptors = Descriptors(disk, 1)
    try:
        yield from _Check(disk, descriptors, progress, is_copy=is_copy).run()
    finally:
        descriptors.close()


class _Suspect(NamedTuple):
    """Damage at the end of a log, unless it is unfinished; as it stood in this generation."""

    damage: Damage
    generation: int | None
    data: bytes


@dataclass(slots=True)
class _Check:
    disk: Disk
    files: Descriptors
    progress: Progress
    is_copy: bool
    done: int = 0
    total: int = 0
    journalled: dict[str, int] = field(default_factory=dict)
    suspects: list[_Suspect] = field(default_factory=list)
    strays: dict[str, list[tuple[str, Damage]]] = field(default_factory=dict)

    def run(self) -> Iterator[Damage]:
        root = self.disk.root
        self.total = sum(each.stat().st_size for each in root.rglob("*.jsonl"))
        self.journalled = self._journal()[0]
        yield from self._keys()
        for org in self.disk.names(ORGS):
            if ORG_NAME.fullmatch(org):
                yield from self._organisation(org)
        pending, damages = self._journal()
        if damages:
            # A batch that was being written is missing no more.
            again = self._journal()[1]
            yield from (each for each in damages if each in again)
        still = [each.damage for each in self.suspects if self._is_unchanged(each)]
        for damage in [*still, *self._still_stray()]:
            start = pending.get(damage.path)
            if start is None or damage.offset < start:
                yield damage

    def _organisation(self, org: str) -> Iterator[Damage]:
        path = catalog_path(org)
        listed: list[str] = []
        buried: set[int] = set()
        if self.disk.exists(path):
            for line in self._sound_lines(CatalogLog(path, self.disk, self.files), org):
                if isinstance(line, Damage):
                    yield line
                elif line.kind in ADDS:
                    listed.append(line.payload[7:46].decode())
                elif line.kind in REMOVES:
                    buried.add(CatalogLog.key_of_id(line.payload))
        live = {each for each in listed if int(each[7:23], 16) not in buried}
        for thread_id in sorted(live):
            path = thread_path(org, thread_id)
            try:
                for line in self._sound_lines(ThreadLog(path, self.disk, self.files), thread_id):
                    if isinstance(line, Damage):
                        yield line
            except FileNotFoundError:
                reason = "the catalogue lists this thread, the file is gone"
                self._stray(org, thread_id, Damage(path, 0, reason))
        for folder in self.disk.names(f"{org_path(org)}/threads"):
            for name in self.disk.names(f"{org_path(org)}/threads/{folder}"):
                thread_id = name.removesuffix(".jsonl")
                if not THREAD_FILE.fullmatch(name) or thread_id in live:
                    continue
                if int(thread_id[7:23], 16) not in buried:
                    place = f"{org_path(org)}/threads/{folder}/{name}"
                    damage = Damage(place, 0, "no catalogue lists this thread")
                    self._stray(org, thread_id, damage)

    def _stray(self, org: str, thread_id: str, damage: Damage) -> None:
        """In a copy this is how far the copying had come; beside a server the next look tells."""
        if not self.is_copy:
            self.strays.setdefault(org, []).append((thread_id, damage))

    def _still_stray(self) -> Iterator[Damage]:
        """Yield the strays but those that a server made or deleted meanwhile."""
        for org, strays in self.strays.items():
            listed: set[str] = set()
            buried: set[int] = set()
            with suppress(FileNotFoundError), self.disk.opened(catalog_path(org)) as descriptor:
                for line in lines(self.disk, descriptor, 0, self.disk.size(descriptor)):
                    if line.kind in ADDS and not line.fault:
                        listed.add(line.payload[7:46].decode())
                    elif line.kind in REMOVES and not (line.fault or misfit(CatalogLog, line)):
                        buried.add(CatalogLog.key_of_id(line.payload))
            for thread_id, damage in strays:
                is_live = thread_id in listed
                is_there = self.disk.exists(damage.path)
                if is_live != is_there and int(thread_id[7:23], 16) not in buried:
                    yield damage

    def _suspect(self, damage: Damage, generation: int | None, data: bytes) -> None:
        """In a copy a line without an end, or none, is how far the copying had come."""
        if not self.is_copy or data.endswith(b"\n"):
            self.suspects.append(_Suspect(damage, generation, data))

    def _is_unchanged(self, suspect: _Suspect) -> bool:
        """Tell whether a log is still as it was where it seemed to be damaged at its end."""
        path, offset = suspect.damage.path, suspect.damage.offset
        try:
            with self.disk.opened(path) as descriptor:
                found = lines(self.disk, descriptor, offset, self.disk.size(descriptor))
                data = next((line.data for line in found), b"")
                generation = generation_of(self.disk, path, descriptor)
        except FileNotFoundError:
            return False  # It is a thread's that was deleted meanwhile.
        return (generation, data) == (suspect.generation, suspect.data)

    def _sound_lines(self, log: ThreadLog | CatalogLog, owner: str) -> Iterator[Line | Damage]:
        """Yield the lines of one log that say what they should, and a damage for each other."""
        path, disk = log.path, self.disk
        number = born = length = 0
        generation: int | None = None
        sidecar: Sidecar | None = None
        is_torn = False
        with disk.opened(path) as descriptor:
            try:
                header, length = read_header(disk, path, descriptor)
            except DamagedRecord as error:
                found = lines(disk, descriptor, 0, disk.size(descriptor))
                first = next((line.data for line in found), b"")
                self._suspect(Damage(path, 0, error.reason), None, first)
            else:
                if header.id != owner:
                    yield Damage(path, 0, f"the file is that of {header.id}")
                born, generation = header.last_key, header.generation
                sidecar = own_sidecar(log, disk, descriptor, generation)
            # Later than what it is compared with: beside a server the file grows meanwhile.
            size = disk.size(descriptor)
            for line in lines(disk, descriptor, length, size):
                if not line.offset:
                    continue
                fault = line.fault or misfit(log, line) or _misplaced(log, line, number, born)
                if line.kind in ADDS and not fault:
                    number = log.key(line.sequence, line.payload)
                if not fault:
                    yield line
                elif line.offset + len(line.data) == size:
                    is_torn = not line.data.endswith(b"\n")
                    self._suspect(Damage(path, line.offset, fault), generation, line.data)
                elif line.offset < self.journalled.get(path, size):
                    yield Damage(path, line.offset, fault)
        gap = find_gap(disk, path, None if is_torn else sidecar, size)
        if gap is not None:
            damage = Damage(path, gap.offset, f"lines that stood here are lost: {gap.reason}")
            if read_gap(disk, path) is None:
                self._suspect(damage, generation, b"")
            else:
                yield damage
        self.done += size
        self.progress(self.done, self.total)

    def _keys(self) -> Iterator[Damage]:
        path = "keys.jsonl"
        if not self.disk.exists(path):
            return
        with self.disk.opened(path) as descriptor:
            size = self.disk.size(descriptor)
            for line in lines(self.disk, descriptor, 0, size):
                # One without an end was never shown to anybody: the next key mends that.
                if line.fault and line.data[-1:] == b"\n":
                    yield Damage(path, line.offset, line.fault, "make a new key in its place")
        self.done += size
        self.progress(self.done, self.total)

    def _journal(self) -> tuple[dict[str, int], list[Damage]]:
        """Tell from which offset on the journal holds each file, and what is wrong with itself."""
        pending: dict[str, int] = {}
        damages = []
        in_use: list[tuple[Header, str, bytes]] = []
        for number in range(SEGMENTS):
            path = segment_path(number)
            try:
                header = segment_header(self.disk, number)
            except FileNotFoundError:
                damages.append(Damage(path, 0, "the segment is missing"))
                continue
            except DamagedRecord as error:
                damages.append(Damage(path, 0, error.reason))
                continue
            if header is not None and header.in_use:
                in_use.append((header, path, self.disk.read_file(path)))
        in_use.sort(key=lambda each: each[0].use)
        for place, (header, path, data) in enumerate(in_use):
            expected = header.first
            # What a failed write left behind is void: the next segment says so.
            through = in_use[place + 1][0].through if in_use[place + 1 :] else None
            for batch in batches(data, header.use):
                if through is not None and batch.number > through:
                    continue
                if batch.number != expected and not self.is_copy:
                    damages.append(Damage(path, batch.offset, f"batch {expected} is missing"))
                expected = batch.number + 1
                for frame in batch.frames:
                    start = pending.get(frame.path, frame.offset)
                    pending[frame.path] = min(start, frame.offset)
        return pending, damages


def _misplaced(log: ThreadLog | CatalogLog, line: Line, last_key: int, born: int) -> str:
    """Say that a record stands where nobody wrote it; empty if all is well.

    Args:
        log: Where it stands.
        line: A sound line of it.
        last_key: The highest key that was added before this line.
        born: The highest that the former generations had given out.
    """
    key = log.key(line.sequence, line.payload)
    if key <= last_key if line.kind in ADDS else key > max(last_key, born):
        return "the record is not in the order in which it was written"
    return ""
