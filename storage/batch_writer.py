"""One batch on its way to the disk: the journal first, then each file."""

from __future__ import annotations

import logging

from storage.datadir import OpenDirectory
from storage.durable import and_above
from storage.errors import NoRoom, WriteRefused
from storage.journal import Segment
from storage.segment import Frame

log = logging.getLogger(__name__)

_NAMES_RESERVED = 64
"""Files that can be made must be so many: a thread that gets none owes its lines to the journal."""


class BatchWriter:
    """Writes batches, one at a time; its methods block and belong to the committer's thread."""

    def __init__(self, directory: OpenDirectory) -> None:
        self._disk = directory.disk
        self._journal = directory.journal
        self._descriptors = directory.descriptors
        self._options = directory.options
        self._clock = directory.clock
        self._folders: set[str] = set()

    def write(self, frames: list[Frame], rotate: bool) -> dict[str, OSError]:
        """Commit one batch; on the committer's thread.

        Returns:
            The files that did not take what the journal holds now.

        Raises:
            NoRoom: Nothing was written.
            WriteRefused: Nothing was written.
            WriteFailed: The outcome is unknown.
        """
        started = self._clock()
        wanted = sum([len(frame.data) for frame in frames])
        try:
            free = self._disk.free_bytes()
        except OSError as error:
            raise WriteRefused(f"the file system does not answer: {error}") from error
        if free < self._options.disk_reserve_bytes + wanted:
            raise NoRoom(
                f"{free} bytes are free, the reserve is {self._options.disk_reserve_bytes}",
                hint="free some space, or lower [storage] disk_reserve_bytes",
            )
        names = self._disk.free_names()
        if names is not None and names < _NAMES_RESERVED + len(frames):
            raise NoRoom(
                f"{names} more files can be made, {_NAMES_RESERVED} are reserved",
                hint="remove some files, or make a file system with more inodes",
            )
        if rotate:
            self._journal.rotate()
        self._journal.write(frames)
        seconds = self._clock() - started
        if seconds > self._options.sync_slow_seconds:
            log.warning("a journal sync took %.3f s", seconds)
        failed: dict[str, OSError] = {}
        segment = self._journal.current
        assert segment is not None
        for frame in frames:
            try:
                self._materialise(segment, frame)
            except OSError as error:
                self._descriptors.distrust(frame.path)
                self._journal.owe(frame.path)
                failed[frame.path] = error
        return failed

    def _materialise(self, segment: Segment, frame: Frame) -> None:
        """Put a frame's bytes into its file, and note what the checkpoint has to sync."""
        path, _, offset, data = frame
        if new := not offset:
            folder = path.rpartition("/")[0]
            if folder not in self._folders:
                # All that may get a new name, before it does: making them may fail half-way.
                segment.directories.update(and_above(folder))
                self._disk.make_directory(folder)
                self._folders.add(folder)
            segment.directories.add(folder)
        descriptor = segment.dirty.get(path)
        # What the segment pins is open; only a distrusted one has to be opened anew.
        if descriptor is None or self._descriptors.peek(path) is not descriptor:
            known, descriptor = descriptor, self._descriptors.acquire(path, create=new)
            segment.dirty[path] = descriptor
            if known is not None:
                self._descriptors.release(known)
        self._disk.write(descriptor.number, data, offset)
