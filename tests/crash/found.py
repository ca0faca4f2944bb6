"""By which history each missing mechanism is noticed: the first that was found, small as it is.

The same histories, with every mechanism in its place, are those that must stay right.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.crash.askers import Askers
from tests.crash.histories import Clients
from tests.crash.session import Session

HISTORIES_MAX = 1500
"""So many are tried from the first on, for a change of storage may make another one the first."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the lack of a mechanism comes to light.

    Attributes:
        first: The seed of the history that noticed it.
        dooms: What befalls it, by name.
        door: Through which its clients come.
    """

    first: int = 0
    dooms: str = "left_to_chance"
    door: type[Clients] = Session


def _asked(first: int) -> Way:
    return Way(first, door=Askers)


_ONE_SYNC = "one_sync_for_all_fails_then_cut"

FOUND_BY = {
    "acknowledge_before_the_journal_has_it": Way(1),
    "write_the_file_before_the_journal": Way(5),
    "write_initial_messages_one_by_one": Way(6),
    "trust_every_checksum": Way(11, "cut_in_a_journal_write"),
    "fill_gaps": Way(3, _ONE_SYNC),
    "redo_what_a_failed_write_left": Way(42),
    "free_segments_without_syncing_files": Way(1),
    "free_segments_without_syncing_names": Way(1),
    "retry_a_failed_sync": Way(15, "syncs_fail_then_cut"),
    "forget_that_a_sync_failed": Way(109),
    "trust_one_sync_for_all_again": Way(558, _ONE_SYNC),
    "recover_from_a_journal_that_may_not_last": Way(367, "killed_then_cut_while_it_recovers"),
    "sync_no_folder_above_another": Way(1),
    "let_a_new_generation_write_before_its_name_lasts": Way(86, _ONE_SYNC),
    "start_on_a_meta_file_that_may_not_last": Way(2, "killed_in_its_first_start_then_cut"),
    "let_a_log_that_is_owed_lines_take_more": Way(0, "writes_fail"),
    "free_a_segment_that_files_are_owed_lines_of": Way(2, "writes_fail"),
    "recover_a_file_with_frames_of_another_generation": Way(3),
    "recover_a_missing_file_with_frames_of_every_generation": Way(4885, "copied"),
    "open_a_generation_whose_name_may_not_last": Way(43, "killed_at_a_new_name_then_cut", Askers),
    "rename_a_generation_that_may_not_last": Way(11),
    "rename_a_generation_without_the_last_lines": Way(3),
    "replace_a_log_on_which_something_is_on_its_way": Way(11),
    "write_on_to_the_generation_that_was_replaced": Way(3),
    "forget_the_highest_key_in_a_compaction": Way(18),
    "drop_tombstones_whose_file_is_still_there": Way(11),
    "trust_a_sidecar_of_another_generation": Way(3, "killed_before_an_old_sidecar_goes"),
    "trust_a_sidecar_whatever_its_log_has_behind_it": Way(1),
    "let_a_section_go_behind_a_sidecar_whose_log_has_changed": Way(1),
    "write_a_sidecar_that_is_ahead_of_its_log": Way(1),
    "remove_a_file_before_its_tombstone_is_durable": Way(1),
    "leave_what_was_deleted_in_the_journal": _asked(36),
    "clear_segments_that_are_in_use": _asked(193),
    "start_a_copy_as_if_it_were_the_original": Way(100, "copied"),
    "leave_half_made_threads_in_a_copy": Way(314, "copied"),
    "let_an_actor_go_while_it_writes": _asked(2),
    "let_changes_of_one_object_overlap": _asked(74),
    "delete_a_thread_while_others_write_to_it": _asked(249),
    "number_messages_as_if_none_were_on_their_way": _asked(1),
    "begin_a_page_at_its_cursor": _asked(0),
    "say_that_no_page_follows": _asked(0),
    "replace_a_log_that_is_being_read": _asked(149),
    "answer_before_anything_is_committed": _asked(0),
}
