"""The mechanisms that keep the promises, each taken out: what the simulator must notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from storage import datadir, engine, recovery, segment, segment_file
from storage.checkpoint import Checkpointer
from storage.committer import Committer
from storage.compaction import Compactor
from storage.durable import Disk
from storage.journal import Journal, Segment
from storage.recovery import Outcome
from storage.segment import Frame, Header
from tests.crash.environment import MODULES

Mutation = Callable[[pytest.MonkeyPatch], None]


def acknowledge_before_the_journal_has_it(patch: pytest.MonkeyPatch) -> None:
    write, late = Journal.write, dict[Journal, Sequence[Frame]]()

    def write_the_last_one(self: Journal, frames: Sequence[Frame]) -> None:
        before = late.pop(self, None)
        late[self] = frames
        if before is not None and self.has_room(before):
            write(self, before)

    patch.setattr(Journal, "write", write_the_last_one)


def write_the_file_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    write = Journal.write

    def write_files_first(self: Journal, frames: Sequence[Frame]) -> None:
        disk = self._disk
        for frame in frames:
            disk.make_directory(frame.path.rpartition("/")[0])
            with disk.opened(frame.path, create=True) as descriptor:
                disk.write(descriptor, frame.data, frame.offset)
        write(self, frames)

    patch.setattr(Journal, "write", write_files_first)


def write_initial_messages_one_by_one(patch: pytest.MonkeyPatch) -> None:
    submit = Committer.submit

    def submit_each(self: Committer, appends: Sequence[Any], done: Any) -> None:
        for append in appends[:-1]:
            submit(self, [append], lambda error: None)
        submit(self, appends[-1:], done)

    patch.setattr(Committer, "submit", submit_each)


def trust_every_checksum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment, "crc32", lambda data, start=0: 0)


def fill_gaps(patch: pytest.MonkeyPatch) -> None:
    def redo(
        disk: Disk, path: str, frames: list[Frame], outcome: Outcome, *, is_copy: bool
    ) -> bool:
        with disk.opened(path, create=True) as descriptor:
            for frame in frames:
                disk.write(descriptor, frame.data, frame.offset)
            disk.sync(descriptor)
        return True

    patch.setattr(recovery, "_redo", redo)


def redo_what_a_failed_write_left(patch: pytest.MonkeyPatch) -> None:
    segment_header = segment_file.segment_header

    def endless(disk: Disk, number: int) -> Header | None:
        header = segment_header(disk, number)
        return header and header._replace(through=1_000_000)

    patch.setattr(recovery, "segment_header", endless)
    patch.setattr(recovery, "_check_whole", lambda *arguments: None)


def free_segments_without_syncing_files(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checkpointer, "_sync", lambda self, path, descriptor: True)
    patch.setattr(Checkpointer, "_sync_everything", lambda self, segment: set(segment.dirty))


def free_segments_without_syncing_names(patch: pytest.MonkeyPatch) -> None:
    original = Checkpointer._checkpoint

    def without(self: Checkpointer, segment: Segment) -> bool:
        segment.directories.clear()
        return original(self, segment)

    patch.setattr(Checkpointer, "_checkpoint", without)


def retry_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    original = Checkpointer._sync

    def twice(self: Checkpointer, path: str, descriptor: Any) -> bool:
        return original(self, path, descriptor) or original(self, path, descriptor)

    patch.setattr(Checkpointer, "_sync", twice)


def forget_that_a_sync_failed(patch: pytest.MonkeyPatch) -> None:
    class Forgetful(set[str]):
        def __contains__(self, path: object) -> bool:
            return False

    original = Checkpointer.__init__

    def forget(self: Checkpointer, *arguments: Any) -> None:
        original(self, *arguments)
        self._suspect = Forgetful()

    patch.setattr(Checkpointer, "__init__", forget)


def trust_one_sync_for_all_again(patch: pytest.MonkeyPatch) -> None:
    original = Checkpointer._sync_everything

    def again(self: Checkpointer, segment: Segment) -> Any:
        self._whole_trusted = True
        return original(self, segment)

    patch.setattr(Checkpointer, "_sync_everything", again)


def recover_from_a_journal_that_may_not_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_confirm", lambda *arguments: None)


def sync_no_folder_above_another(patch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        if "and_above" in vars(module) and module.__name__ != "storage.durable":
            patch.setattr(module, "and_above", lambda folder: [folder])


def let_a_new_generation_write_before_its_name_lasts(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Compactor, target: Any) -> None:
        pass

    patch.setattr(Compactor, "_name_lasts", at_once)


def start_on_a_meta_file_that_may_not_last(patch: pytest.MonkeyPatch) -> None:
    original = datadir.prepare

    def prepare(disk: Disk, *arguments: Any) -> bool:
        if not disk.exists(datadir.META):
            return original(disk, *arguments)
        sync = disk.sync_directory
        patch.setattr(disk, "sync_directory", lambda path: None, raising=False)
        try:
            return original(disk, *arguments)
        finally:
            patch.setattr(disk, "sync_directory", sync, raising=False)

    patch.setattr(engine, "prepare", prepare)
