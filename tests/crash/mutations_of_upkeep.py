"""Mechanisms of owed lines, compaction, sidecars, the reaper, clearing and copies, taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from storage import (
    adoption,
    compaction,
    engine,
    loading,
    opening,
    recovery,
    sidecar_file,
)
from storage.append import Append, Done
from storage.compaction import Compactor, Rewrite
from storage.datadir import thread_path
from storage.descriptors import Descriptors
from storage.draft import Draft
from storage.durable import Disk
from storage.engine import Storage
from storage.index import Index
from storage.journal import Journal
from storage.owed import Owed
from storage.record_log import RecordLog
from storage.sidecar_file import Extent

Mutation = Callable[[pytest.MonkeyPatch], None]


def let_a_log_that_is_owed_lines_take_more(patch: pytest.MonkeyPatch) -> None:
    original = Owed.owe

    def owe(self: Owed, append: Append, reason: str) -> None:
        original(self, append, reason)
        append.log.owed = False

    patch.setattr(Owed, "owe", owe)


def free_a_segment_that_files_are_owed_lines_of(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "owe", lambda self, path: self.paid(path))


def recover_a_file_with_frames_of_another_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "generation_of", lambda *arguments: None)


def recover_a_missing_file_with_frames_of_every_generation(patch: pytest.MonkeyPatch) -> None:
    original = recovery._redo

    def redo(disk: Disk, path: str, *arguments: Any, **named: Any) -> bool:
        if not disk.exists(path):
            frames = [each._replace(generation=1) for each in arguments[0]]
            return original(disk, path, frames, *arguments[1:], **named)
        return original(disk, path, *arguments, **named)

    patch.setattr(recovery, "_redo", redo)


def open_a_generation_whose_name_may_not_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(opening, "and_above", lambda folder: [])


def rename_a_generation_that_may_not_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Draft, "sync", lambda self: None)


def rename_a_generation_without_the_last_lines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rewrite, "catch_up", lambda self, end: None)


def replace_a_log_on_which_something_is_on_its_way(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Compactor, target: RecordLog) -> None:
        pass

    patch.setattr(Compactor, "_quiet", at_once)


def write_on_to_the_generation_that_was_replaced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Descriptors, "distrust", lambda self, path: None)


def forget_the_highest_key_in_a_compaction(patch: pytest.MonkeyPatch) -> None:
    original = Draft.begin

    def begin(self: Draft, *arguments: Any, **named: Any) -> None:
        self.index.last_key = 0
        original(self, *arguments, **named)

    patch.setattr(Draft, "begin", begin)


def trust_a_sidecar_of_another_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loading, "_fits", lambda *arguments: True)


def trust_a_sidecar_whatever_its_log_has_behind_it(patch: pytest.MonkeyPatch) -> None:
    original = loading.own_sidecar

    def whole(record_log: RecordLog, disk: Disk, descriptor: int, generation: int) -> Any:
        sidecar = original(record_log, disk, descriptor, generation)
        return sidecar and replace(sidecar, covered=disk.size(descriptor))

    patch.setattr(loading, "own_sidecar", whole)


def let_a_section_go_behind_a_sidecar_whose_log_has_changed(patch: pytest.MonkeyPatch) -> None:
    def takes(self: Extent, later: Index) -> bool:
        return 0 < self.sections < sidecar_file.SECTIONS_MAX and self.entries <= len(later)

    patch.setattr(Extent, "takes", takes)


def write_a_sidecar_that_is_ahead_of_its_log(patch: pytest.MonkeyPatch) -> None:
    original = RecordLog.section

    def section(self: RecordLog, *behind: Any) -> sidecar_file.Section:
        true = original(self, *behind)
        return true._replace(head=true.head._replace(last_key=true.head.last_key + 1))

    patch.setattr(RecordLog, "section", section)


def remove_a_file_before_its_tombstone_is_durable(patch: pytest.MonkeyPatch) -> None:
    original = Storage.commit

    def commit(self: Storage, appends: Sequence[Append], done: Done) -> None:
        original(self, appends, done)
        for each in appends:
            if each.kind == "y":
                thread = each.line[each.line.index(b"thread-") :][:39].decode()
                org = each.log.path.split("/")[1]
                self.disk.unlink(thread_path(org, thread))

    patch.setattr(Storage, "commit", commit)


def leave_what_was_deleted_in_the_journal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "clear", lambda self, number: None)


def clear_segments_that_are_in_use(patch: pytest.MonkeyPatch) -> None:
    def hold(self: Journal, number: int) -> None:
        self._segments[number].held = True

    patch.setattr(Journal, "hold", hold)


def start_a_copy_as_if_it_were_the_original(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine, "adopt", lambda *arguments: None)


def leave_half_made_threads_in_a_copy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adoption._Adoption, "_bury", lambda *arguments: None)


def drop_tombstones_whose_file_is_still_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(compaction, "REMOVES", "")
