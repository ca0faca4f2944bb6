"""Mechanisms of the actors, each taken out."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest

from ragen_actor.actors.actor import Actor, State
from ragen_actor.actors.thread_actor import ThreadActor
from storage import index
from storage.index import Index
from storage.kinds import ThreadLog
from storage.record_log import RecordLog


def let_an_actor_go_while_it_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Actor, "is_idle", property(lambda self: self.state is State.ACTIVE))


def let_changes_of_one_object_overlap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ThreadActor, "_change", lambda self, envelope, key: None)


def delete_a_thread_while_others_write_to_it(patch: pytest.MonkeyPatch) -> None:
    original = ThreadActor._may_begin

    def may_begin(self: ThreadActor, command: Any) -> bool:
        return type(command).__name__ == "DeleteThread" or original(self, command)

    patch.setattr(ThreadActor, "_may_begin", may_begin)


def number_messages_as_if_none_were_on_their_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ThreadLog, "next_sequence", property(lambda self: self.index.last_key + 1))


def begin_a_page_at_its_cursor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(index, "bisect_right", bisect_left)


def say_that_no_page_follows(patch: pytest.MonkeyPatch) -> None:
    original = Index.page
    patch.setattr(Index, "page", lambda self, **query: (original(self, **query)[0], False))


def replace_a_log_that_is_being_read(patch: pytest.MonkeyPatch) -> None:
    def look_quiet(self: RecordLog) -> None:
        if self._quiet is not None and not self.pending:
            quiet, self._quiet = self._quiet, None
            quiet()

    patch.setattr(RecordLog, "look_quiet", look_quiet)


def answer_before_anything_is_committed(patch: pytest.MonkeyPatch) -> None:
    def commit(self: Actor, envelope: Any, appends: Any, then: Any) -> None:
        self.world.storage.commit(appends, lambda error: None)
        then()

    patch.setattr(Actor, "_commit", commit)
