from __future__ import annotations

from pathlib import Path

import pytest

from ragen_actor.dashboard.attempts import ADDRESSES_MAX, Attempts
from ragen_actor.dashboard.sessions import Sessions
from ragen_actor.keyring import Keyring, create_key, revoke_key
from ragen_actor.settings import Dashboard


class House:
    """Sessions with a clock to turn by hand and randomness that counts."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.now = 1000.0
        self.drawn = 0
        self.token, _ = create_key(data_dir, "acme", "web", "default", "", 0.0)
        self.keyring = Keyring(data_dir / "keys.jsonl")
        self.keyring.load()
        found = self.keyring.find(self.token)
        assert found is not None
        self.key = found
        self.sessions = Sessions(
            self.keyring,
            sessions_max=3,
            idle_seconds=60,
            seconds_max=300,
            clock=lambda: self.now,
            random=self.random,
        )

    def random(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_session_is_found_by_its_token_and_by_nothing_else(house: House) -> None:
    token = house.sessions.begin(house.key)
    found = house.sessions.find(token)
    assert found is not None
    assert found.key == house.key
    assert house.sessions.find(token[:-1]) is None
    assert house.sessions.find("") is None
    assert house.sessions.find("\udce4") is None


def test_neither_the_key_nor_what_the_browser_holds_lies_in_memory(house: House) -> None:
    token = house.sessions.begin(house.key)
    held = repr(vars(house.sessions)["_by_digest"])
    assert token not in held
    assert house.token not in held


def test_a_session_that_is_not_used_ends(house: House) -> None:
    token = house.sessions.begin(house.key)
    for _ in range(3):
        house.now += 59
        assert house.sessions.find(token) is not None
    house.now += 61
    assert house.sessions.find(token) is None
    assert len(house.sessions) == 0


def test_a_session_ends_at_its_greatest_age_however_busy(house: House) -> None:
    token = house.sessions.begin(house.key)
    for _ in range(6):
        house.now += 50
        assert house.sessions.find(token) is not None
    house.now += 1
    assert house.sessions.find(token) is None


def test_beyond_the_bound_the_session_unused_for_longest_ends(house: House) -> None:
    first, second, third = [house.sessions.begin(house.key) for _ in range(3)]
    assert house.sessions.find(first) is not None
    fourth = house.sessions.begin(house.key)
    assert house.sessions.find(second) is None
    assert all(house.sessions.find(token) for token in (first, third, fourth))


def test_signing_out_ends_the_session_where_it_is_in_use_too(house: House) -> None:
    token = house.sessions.begin(house.key)
    session = house.sessions.find(token)
    assert session is not None
    house.sessions.end(token)
    house.sessions.end("unknown")
    assert house.sessions.find(token) is None
    assert not house.sessions.is_live(session)


def test_a_revoked_key_ends_its_sessions(house: House) -> None:
    token = house.sessions.begin(house.key)
    revoke_key(house.data_dir, house.key.hash[:12], 0.0)
    house.keyring.refresh()
    assert house.sessions.find(token) is None


def test_an_address_may_try_so_often_a_minute_and_then_waits() -> None:
    attempts = Attempts(3)
    assert [attempts.take("192.0.2.1", 0.0) for _ in range(3)] == [0.0] * 3
    assert attempts.take("192.0.2.1", 0.0) == pytest.approx(20.0)
    assert attempts.take("192.0.2.2", 0.0) == 0.0
    assert attempts.take("192.0.2.1", 20.1) == 0.0


def test_an_address_that_showed_a_key_is_forgiven() -> None:
    attempts = Attempts(1)
    attempts.take("192.0.2.1", 0.0)
    attempts.forgive("192.0.2.1")
    assert attempts.take("192.0.2.1", 0.0) == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_addresses_that_one_client_may_have_count_as_one(one: str, other: str) -> None:
    attempts = Attempts(1)
    assert attempts.take(one, 0.0) == 0.0
    assert attempts.take(other, 0.0) > 0


def test_addresses_in_memory_are_bounded() -> None:
    attempts = Attempts(1)
    for number in range(ADDRESSES_MAX + 10):
        attempts.take(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(attempts) == ADDRESSES_MAX


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("ragen.example", False),
    ],
)
def test_the_dashboard_is_there_on_loopback_and_elsewhere_where_it_is_named(
    host: str, served: bool
) -> None:
    assert Dashboard().is_served_on(host) is served
    assert Dashboard(enabled=True).is_served_on(host) is True
    assert Dashboard(enabled=False).is_served_on(host) is False
