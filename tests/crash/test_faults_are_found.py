"""Each mechanism is needed: without it, and with nothing else changed, some history goes wrong."""

from __future__ import annotations

import pytest

from tests.crash import mutations
from tests.crash.histories import run_history
from tests.crash.mutations import Mutation
from tests.crash.settings import Doom

SYNCS = frozenset({"sync", "sync_everything"})
HISTORIES_MAX = 1500


def left_to_chance(seed: int) -> list[Doom]:
    return []


def killed_then_cut_while_it_recovers(seed: int) -> list[Doom]:
    return [Doom(22 + seed % 60, "write_durable"), Doom(6 + seed % 19, power=True)]


def syncs_fail_then_cut(seed: int) -> list[Doom]:
    return [Doom(60 + 11 * seed % 150, power=True, faulty=SYNCS)]


def one_sync_for_all_fails_then_cut(seed: int) -> list[Doom]:
    return [Doom(60 + 11 * seed % 150, power=True, faulty=frozenset({"sync_everything"}))]


def killed_in_its_first_start_then_cut(seed: int) -> list[Doom]:
    return [Doom(25, "sync_directory"), Doom(15 + seed % 30, power=True)]


def cut_in_a_journal_write(seed: int) -> list[Doom]:
    return [Doom(22 + seed % 60, "write_durable", power=True)]


FOUND_BY = [
    (mutations.acknowledge_before_the_journal_has_it, left_to_chance),
    (mutations.write_the_file_before_the_journal, left_to_chance),
    (mutations.write_initial_messages_one_by_one, left_to_chance),
    (mutations.trust_every_checksum, cut_in_a_journal_write),
    (mutations.fill_gaps, one_sync_for_all_fails_then_cut),
    (mutations.redo_what_a_failed_write_left, left_to_chance),
    (mutations.free_segments_without_syncing_files, left_to_chance),
    (mutations.free_segments_without_syncing_names, left_to_chance),
    (mutations.retry_a_failed_sync, syncs_fail_then_cut),
    (mutations.forget_that_a_sync_failed, left_to_chance),
    (mutations.trust_one_sync_for_all_again, one_sync_for_all_fails_then_cut),
    (mutations.recover_from_a_journal_that_may_not_last, killed_then_cut_while_it_recovers),
    (mutations.sync_no_folder_above_another, left_to_chance),
    (
        mutations.let_a_new_generation_write_before_its_name_lasts,
        one_sync_for_all_fails_then_cut,
    ),
    (mutations.start_on_a_meta_file_that_may_not_last, killed_in_its_first_start_then_cut),
]


@pytest.mark.parametrize(("mutation", "dooms"), FOUND_BY, ids=lambda each: each.__name__)
def test_the_simulator_goes_red_without(
    mutation: Mutation, dooms: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(dooms)
    mutation(monkeypatch)
    assert any(_is_wrong(seed, dooms(seed)) for seed in range(HISTORIES_MAX))


def test_every_mutation_is_tried() -> None:
    assert {mutation for mutation, _ in FOUND_BY} == set(mutations.MUTATIONS)


def _is_wrong(seed: int, dooms: list[Doom]) -> bool:
    try:
        run_history(seed, dooms=dooms)
    except Exception:
        return True
    return False
