"""What may befall a history, by a name that says it: dooms drawn from the seed alone."""

from __future__ import annotations

from tests.crash.settings import Doom

SYNCS = frozenset({"sync", "sync_everything"})


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


def writes_fail(seed: int) -> list[Doom]:
    return [Doom(faulty=frozenset({"write"}), faulty_from=60 + 10 * seed % 90)]


def killed_at_a_new_name_then_cut(seed: int) -> list[Doom]:
    place = "before compaction.Compactor._name_lasts.sync_directory"
    return [Doom(1 + 7 * seed % 60, place), Doom(10 + seed % 60, power=True)]


def killed_before_an_old_sidecar_goes(seed: int) -> list[Doom]:
    return [Doom(1 + 7 * seed % 60, "before draft.Draft.take_name.unlink")]


def copied(seed: int) -> list[Doom]:
    return [Doom(copied=True), Doom(20 + 7 * seed % 90, power=seed % 2 > 0)]
