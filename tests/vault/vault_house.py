"""A vault over a registry on real files, with a master key in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from ragen_actor import schema
from ragen_actor.actors import Limits
from ragen_actor.config import Config, Storage, Vault
from ragen_actor.vault import MasterKeys
from ragen_actor.vault import Vault as Door
from ragen_actor.vault.master_key_file import create
from storage import Options
from storage import Storage as Store
from tests.actors.house import House

SECRET = "the treasure lies under the old oak"
ORG = "acme"


def said(text: str = SECRET, role: schema.Role = "user", **fields: Any) -> schema.NewMessage:
    return schema.NewMessage(role, (schema.TextPart(schema.Text(text)),), **fields)


def request(*texts: str, title: str | None = None) -> schema.CreateThread:
    return schema.CreateThread(messages=tuple(said(text) for text in texts), title=title)


def texts_of(page: Any) -> list[str]:
    return [turn.message.content[0].text.value for turn in page.turns]


def key_file(folder: Path, name: str = "master.key") -> Path:
    path = folder / name
    create(path, folder / "data")
    return path


class VaultHouse:
    """One data directory, served by actors, and a vault above them.

    Attributes:
        house: The actors.
        keys: The master keys.
        door: The vault.
    """

    def __init__(self, house: House, keys: MasterKeys) -> None:
        self.house = house
        self.keys = keys
        self.door = Door(house.registry, keys.data_keys)

    async def thread(self, *texts: str, title: str | None = None) -> str:
        return (await self.door.create_thread(ORG, request(*texts, title=title), "asst-web")).id

    async def texts(self, thread_id: str, query: str = "order=asc&limit=100") -> list[str]:
        page = await self.door.list_messages(
            ORG, thread_id, schema.parse_list_query(query, "message")
        )
        assert page.fault is None
        return texts_of(page)


@asynccontextmanager
async def opened(
    data_dir: Path, *master_key_files: Path, **settings: Any
) -> AsyncIterator[VaultHouse]:
    """Serve a data directory with these master keys."""
    config = Config(
        storage=Storage(data_dir=data_dir),
        vault=Vault(master_key_files=master_key_files, **settings),
    )
    keys = MasterKeys(config)
    storage = await Store.open(Options(data_dir=data_dir, journal_segment_bytes=1 << 20))
    house = House(storage, Limits())
    try:
        yield VaultHouse(house, keys)
    finally:
        await house.close()
        await keys.close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def json(data: bytes) -> Any:
    return msgspec.json.decode(data)
