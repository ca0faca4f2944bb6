"""The journal: four segments used in turn, written ahead of every file.

A write is acknowledged once its batch is in here, durably, and its lines are in the page cache of
their files. A segment is free for its next use once every file that it names has been made durable.
All methods block: the committer's thread writes, the checkpointer's frees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from storage.descriptors import Descriptor
from storage.durable import Disk
from storage.errors import WriteFailed, WriteRefused
from storage.segment import (
    BATCHES_AT,
    Frame,
    Header,
    batch_bytes,
    batches,
    pack_batch,
)
from storage.segment_file import SEGMENTS, segment_path, write_freed

_ZEROS = 1024 * 1024


@dataclass(slots=True)
class Segment:
    """One of the four files.

    Attributes:
        number: 0..3.
        use: Of the journal's count of uses; 0 before the first.
        through: The last batch that counts in the use before this one.
        in_use: It holds batches whose files are not known to be durable.
        held: It is free, and must stay so: it is being cleared.
        dirty: What a checkpoint must sync, by path, each kept open through a pin.
        directories: Those with names that a checkpoint must sync.
        owed: Files that lack lines which stand in here; it is not free while there are any.
        since: When its use began, seconds on the monotonic clock.
    """

    number: int
    use: int = 0
    through: int = 0
    in_use: bool = False
    held: bool = False
    dirty: dict[str, Descriptor] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    since: float = 0.0


class Journal:
    """The segments and the place where the next batch goes.

    Attributes:
        current: The segment that takes batches; None when the next batch must start a new use.
    """

    def __init__(self, disk: Disk, segment_bytes: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._segments = [Segment(number) for number in range(SEGMENTS)]
        self._descriptor = -1
        self._offset = 0
        self._use = 0
        self._number = 0
        self.current: Segment | None = None

    @classmethod
    def create(cls, disk: Disk, segment_bytes: int) -> None:
        """Write the segments of a new directory full of zeros, and make them durable.

        The zeros are written, not only allocated: an in-place write then changes nothing that the
        file system keeps a journal of its own about.
        """
        disk.make_directory("journal")
        for number in range(SEGMENTS):
            with disk.opened(segment_path(number), create=True) as descriptor:
                disk.truncate(descriptor, 0)
                _zero(disk, descriptor, 0, segment_bytes)
        disk.sync_directory("journal")

    @classmethod
    def segment_bytes(cls, disk: Disk) -> set[int]:
        """Return the sizes of the segments, 0 for a missing one; several if making was cut off."""
        sizes = set()
        for number in range(SEGMENTS):
            try:
                with disk.opened(segment_path(number)) as descriptor:
                    sizes.add(disk.size(descriptor))
            except FileNotFoundError:
                sizes.add(0)
        return sizes

    def renew(self) -> None:
        """Make every segment anew; nothing in them is needed, and none is in use.

        Raises:
            OSError: The disk fails; some may be shorter than they should be.
        """
        assert not self.in_use
        Journal.create(self._disk, self._segment_bytes)

    def resume(self, use: int, number: int) -> None:
        """Go on behind what recovery found: the highest use and the highest batch number."""
        self._use, self._number = use, number

    @property
    def use(self) -> int:
        """The newest use of a segment."""
        return self._use

    @property
    def unit_bytes_max(self) -> int:
        """The longest batch that a segment can hold, in bytes."""
        return self._segment_bytes - BATCHES_AT

    def has_room(self, frames: Sequence[Frame]) -> bool:
        """Tell whether a batch of these frames fits behind the last one."""
        return (
            self.current is not None and self._offset + batch_bytes(frames) <= self._segment_bytes
        )

    @property
    def next_is_free(self) -> bool:
        """Tell whether a new use can start now."""
        segment = self._segments[self._use % SEGMENTS]
        return not segment.in_use and not segment.held

    @property
    def in_use(self) -> list[Segment]:
        """The segments with batches that recovery would do, oldest use first."""
        return sorted((each for each in self._segments if each.in_use), key=lambda each: each.use)

    def rotate(self) -> None:
        """Begin the next use in the next segment.

        Raises:
            WriteRefused: Its header could not be made durable; nothing changed.
        """
        assert self.next_is_free
        segment = self._segments[self._use % SEGMENTS]
        path = segment_path(segment.number)
        header = Header(self._use + 1, True, self._number + 1, self._number)
        try:
            descriptor = self._disk.open(path)
            try:
                self._disk.write_durable(descriptor, header.pack(), 0)
            except OSError:
                self._disk.close(descriptor)
                raise
        except OSError as error:
            self.abandon()
            raise WriteRefused(f"the journal cannot go on: {error}", path=path) from error
        self.abandon()
        self._use += 1
        self._descriptor, self._offset = descriptor, BATCHES_AT
        segment.use, segment.through, segment.since = self._use, self._number, self._clock()
        # In this order: a segment in use that is not the current one is the checkpointer's.
        self.current = segment
        segment.in_use = True

    def write(self, frames: Sequence[Frame]) -> None:
        """Make one batch durable; `has_room` was asked.

        Raises:
            WriteFailed: Its outcome is unknown until the next use has begun; the descriptor is
                never written or synced again.
        """
        assert self.current is not None
        data = pack_batch(self._use, self._number + 1, frames)
        try:
            self._disk.write_durable(self._descriptor, data, self._offset)
        except OSError as error:
            path = segment_path(self.current.number)
            self.abandon()
            raise WriteFailed(f"the journal was not written: {error}", path=path) from error
        self._number += 1
        self._offset += len(data)

    def owe(self, path: str) -> None:
        """Remember that a file lacks lines of the last batch."""
        assert self.current is not None
        self.current.owed.add(path)

    def paid(self, path: str) -> None:
        """A file has again all that the segments hold of it."""
        for segment in self._segments:
            segment.owed.discard(path)

    def abandon(self) -> None:
        """Write no more to the current segment; the next batch needs `rotate`."""
        self.current = None
        if self._descriptor >= 0:
            with suppress(OSError):
                self._disk.close(self._descriptor)
            self._descriptor = -1

    def free(self, segment: Segment) -> None:
        """Say durably that nothing in a segment is needed any more.

        Raises:
            OSError: It could not be said: the segment stays in use.
        """
        write_freed(self._disk, segment.number, Header(segment.use, False, 0, 0))
        segment.in_use = False

    def hold(self, number: int) -> None:
        """Keep a segment from being used, if it is free; while no batch is on its way."""
        segment = self._segments[number]
        segment.held = not segment.in_use

    def is_held(self, number: int) -> bool:
        """Tell whether `hold` got the segment."""
        return self._segments[number].held

    def let_go(self, number: int) -> None:
        """Let a segment be used again."""
        self._segments[number].held = False

    def clear(self, number: int) -> None:
        """Overwrite what former uses left in a segment that is held, durably.

        Raises:
            OSError: Some of it may still be there.
        """
        assert self._segments[number].held
        with self._disk.opened(segment_path(number)) as descriptor:
            _zero(self._disk, descriptor, BATCHES_AT, self._segment_bytes)

    def frames_of(self, paths: Iterable[str]) -> dict[str, list[Frame]]:
        """Return what the segments in use hold for some files, in order; each is read once.

        Raises:
            OSError: A segment cannot be read.
        """
        found: dict[str, list[Frame]] = {path: [] for path in paths}
        # Before the segments are looked at: what a failed write left in the newest of them has the
        # number that a batch in the next one may get meanwhile.
        number = self._number
        segments = self.in_use
        ends = [*(segment.through for segment in segments[1:]), number]
        for segment, through in zip(segments, ends, strict=False):
            data = self._disk.read_file(segment_path(segment.number))
            for batch in batches(data, segment.use):
                for frame in batch.frames if batch.number <= through else ():
                    if frame.path in found:
                        found[frame.path].append(frame)
        return found


def _zero(disk: Disk, descriptor: int, start: int, end: int) -> None:
    for offset in range(start, end, _ZEROS):
        disk.write(descriptor, bytes(min(_ZEROS, end - offset)), offset)
    disk.sync(descriptor)
