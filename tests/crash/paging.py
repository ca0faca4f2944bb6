"""What a page must show that is asked for while others write: all there was, once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import msgspec

from ragen_actor.schema import ListQuery, message_sequence, thread_key
from storage import CatalogLog, ThreadLog
from tests.crash.logs import Violation, thread_of
from tests.crash.witness import Witness


class Page(msgspec.Struct):
    """A list as it was answered; its objects byte for byte."""

    data: list[msgspec.Raw]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @property
    def objects(self) -> list[bytes]:
        return [bytes(each) for each in self.data]


def key_of(path: str, data: bytes) -> int:
    """Return the key under which a log has an object."""
    kind = CatalogLog if thread_of(path) is None else ThreadLog
    return kind.key_of_id(data)


@dataclass(frozen=True, slots=True)
class View:
    """What a reader who asks now must find at least.

    Attributes:
        newest: The units of the records that are live, by key.
        removed: The keys whose deletion was acknowledged.
    """

    path: str
    newest: dict[int, int]
    removed: frozenset[int]

    @classmethod
    def of(cls, witness: Witness, path: str) -> View:
        return cls(path, dict(witness.newest[path]), frozenset(witness.removed[path]))

    def check(self, witness: Witness, query: ListQuery, page: Page) -> None:
        """Compare a page with what was there when it was asked for.

        Raises:
            Violation: It has too many, something twice, in the wrong order, from the wrong side
                of its cursor, something that was deleted or never written; or it has a gap.
        """
        objects = page.objects
        keys = [key_of(self.path, each) for each in objects]
        said = f"{self.path}: a page of {keys} for {query}"
        ends = [msgspec.json.decode(each)["id"] for each in (*objects[:1], *objects[-1:])]
        if [page.first_id, page.last_id] != (ends or [None, None]):
            raise Violation(f"{said} calls its ends {page.first_id} and {page.last_id}")
        if len(keys) > query.limit or (page.has_more and not keys):
            raise Violation(f"{said} has too many or too few")
        forward = query.before is None
        travelled = keys if forward else keys[::-1]
        sign = 1 if (query.order == "asc") == forward else -1
        cursor = self._cursor(query)
        if any(sign * other <= sign * one for one, other in pairwise(travelled)):
            raise Violation(f"{said} is out of order, or has something twice")
        if cursor is not None and any(sign * key <= sign * cursor for key in keys):
            raise Violation(f"{said} goes behind its cursor")
        if self.removed & set(keys):
            raise Violation(f"{said} has what was deleted: {self.removed & set(keys)}")
        for key, data in zip(keys, objects, strict=True):
            witness.check_object(self.path, key, data, self.newest.get(key, -1))
        for key in self.newest.keys() - set(keys):
            behind = cursor is None or sign * key > sign * cursor
            within = not page.has_more or sign * key < sign * travelled[-1]
            if behind and within and not witness.may_be_removed(self.path, key):
                raise Violation(f"{said} lacks {key}")

    def check_walk(self, witness: Witness, query: ListQuery, objects: list[bytes]) -> None:
        """Compare all pages of a walk from one end to the other with what was there at its start.

        Raises:
            Violation: Something came twice, or not at all though it was there all the while.
        """
        keys = [key_of(self.path, each) for each in objects]
        if keys != sorted(set(keys), reverse=query.order == "desc"):
            raise Violation(f"{self.path}: a walk meets {keys}")
        for key in self.newest.keys() - set(keys):
            if not witness.may_be_removed(self.path, key):
                raise Violation(f"{self.path}: a walk does not meet {key}")

    def _cursor(self, query: ListQuery) -> int | None:
        named = query.after or query.before
        if named is None:
            return None
        return (thread_key if thread_of(self.path) is None else message_sequence)(named)
