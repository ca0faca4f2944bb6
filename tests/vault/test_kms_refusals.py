"""What an endpoint of KMS may answer that moto's never does: it enforces no state and no policy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ragen_actor.errors import RagenError
from ragen_actor.vault import kms
from ragen_actor.vault.errors import (
    MasterKeyMissing,
    MasterKeyRefused,
    MasterKeyUnavailable,
    SealBroken,
)
from ragen_actor.vault.master_key import WrappedKey

ARN = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


class Endpoint:
    """Answers every call alike.

    Attributes:
        status: Of its answers.
        code: The error that they name.
        asked: How often it was.
    """

    status = 400
    code = ""
    asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"__type": self.code, "message": "no"}, status=self.status)


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    made = Endpoint()
    app = web.Application()
    app.router.add_post("/", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield made
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "DisabledException", MasterKeyRefused),
        (400, "KMSInvalidStateException", MasterKeyRefused),
        (400, "AccessDeniedException", MasterKeyRefused),
        (400, "ExpiredTokenException", MasterKeyRefused),
        (400, "NotFoundException", MasterKeyMissing),
        (400, "InvalidCiphertextException", SealBroken),
        (400, "ThrottlingException", MasterKeyUnavailable),
        (500, "KMSInternalException", MasterKeyUnavailable),
        (503, "ServiceUnavailable", MasterKeyUnavailable),
    ],
)
async def test_every_answer_of_kms_has_its_word(
    endpoint: Endpoint, status: int, code: str, error: type[RagenError]
) -> None:
    endpoint.status, endpoint.code = status, code
    master = kms.KmsMasterKey(ARN)
    with pytest.raises(error) as raised:
        await master.unwrap(WrappedKey(ARN, "1", b"blob"), {"organisation": "acme", "key": "1"})
    await master.close()
    assert type(raised.value) is error
    assert error is SealBroken or ARN in raised.value.message
    assert endpoint.asked <= 2


async def test_a_silent_kms_is_given_up_in_time(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kms, "SECONDS_MAX", 0.0)
    master = kms.KmsMasterKey(ARN)
    with pytest.raises(MasterKeyUnavailable):
        await master.generate({"organisation": "acme", "key": "1"})
    await master.close()
