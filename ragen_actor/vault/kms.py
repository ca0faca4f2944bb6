"""Master keys in AWS KMS: they wrap and unwrap data keys there and never leave it.

Credentials, region and endpoint come from wherever AWS's own tools take them. A key that is named
by its ARN is asked for in the ARN's region. Nothing here is needed to start a server: the first
call is made when the first key is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import exceptions as aws

from ragen_actor.errors import RagenError
from ragen_actor.vault.errors import (
    MasterKeyMissing,
    MasterKeyRefused,
    MasterKeyUnavailable,
    SealBroken,
)
from ragen_actor.vault.master_key import Context, DataKey, WrappedKey

log = logging.getLogger(__name__)

SECONDS_MAX = 10.0
"""How long one call may take, with its retries."""
_CALLS_MAX = 16
_CONFIG = AioConfig(
    connect_timeout=2,
    read_timeout=4,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=_CALLS_MAX,
)

_BUSY = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}
_BROKEN = {"InvalidCiphertextException", "IncorrectKeyException"}
_UNREACHABLE = (aws.HTTPClientError, aws.ConnectionError, TimeoutError)

# At the level debug these log every answer's body, and with it the unwrapped keys.
for _talkative in ("aiobotocore", "botocore"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


class KmsMasterKey:
    """AWS KMS; its methods belong to one event loop.

    Args:
        key_id: Wraps new data keys: id, ARN or alias of a symmetric key.
    """

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._clients: dict[str | None, Any] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._calls = asyncio.Semaphore(_CALLS_MAX)

    async def start(self) -> None:
        """Make the client now: that takes a quarter of a second, and asks nobody for a key."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await self._client(self._key_id)
        except (aws.BotoCoreError, TimeoutError) as error:
            log.warning("AWS KMS cannot be asked yet: %s", error)

    async def close(self) -> None:
        """Close every connection."""
        self._clients.clear()
        await self._stack.aclose()

    async def generate(self, context: Context) -> DataKey:
        """Return a fresh data key; raises what `unwrap` raises."""
        made = await self._call(
            self._key_id,
            lambda client: client.generate_data_key(
                KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=dict(context)
            ),
        )
        return DataKey(made["Plaintext"], made["CiphertextBlob"], made["KeyId"])

    async def wrap(self, key: bytes, context: Context) -> DataKey:
        """Wrap a data key that exists; raises what `unwrap` raises."""
        made = await self._call(
            self._key_id,
            lambda client: client.encrypt(
                KeyId=self._key_id, Plaintext=key, EncryptionContext=dict(context)
            ),
        )
        return DataKey(key, made["CiphertextBlob"], made["KeyId"])

    async def unwrap(self, wrapped: WrappedKey, context: Context) -> bytes:
        """Return a data key.

        Raises:
            MasterKeyUnavailable: KMS does not answer, or is too busy.
            MasterKeyRefused: It says no.
            MasterKeyMissing: It knows no such key.
            SealBroken: The key wrapped nothing of the kind for this context.
        """
        opened = await self._call(
            wrapped.master,
            lambda client: client.decrypt(
                KeyId=wrapped.master,
                CiphertextBlob=wrapped.blob,
                EncryptionContext=dict(context),
            ),
        )
        key: bytes = opened["Plaintext"]
        return key

    async def _call(self, key_id: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(SECONDS_MAX), self._calls:
                return await ask(await self._client(key_id))
        except (aws.NoCredentialsError, aws.CredentialRetrievalError):
            error: RagenError = MasterKeyRefused(key_id, "the server has no AWS credentials")
        except _UNREACHABLE as reason:
            error = MasterKeyUnavailable(key_id, f"AWS KMS does not answer ({_name(reason)})")
        except aws.ClientError as reason:
            error = _worded(key_id, reason)
        except aws.BotoCoreError as reason:
            error = MasterKeyRefused(key_id, str(reason).rstrip("."))
        log.warning("%s", error)
        raise error

    async def _client(self, key_id: str) -> Any:
        region = _region(key_id)
        async with self._opening:
            client = self._clients.get(region)
            if client is None:
                session = get_session()
                if await session.get_credentials() is None:
                    # A client that was made without them would never look for them again.
                    raise aws.NoCredentialsError
                making = session.create_client("kms", region_name=region, config=_CONFIG)
                client = self._clients[region] = await self._stack.enter_async_context(making)
        return client


def _region(key_id: str) -> str | None:
    parts = key_id.split(":")
    return parts[3] if len(parts) == 6 and parts[0] == "arn" else None


def _worded(key_id: str, error: aws.ClientError) -> RagenError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BROKEN:
        return SealBroken("The key of this thread")
    if code == "NotFoundException":
        return MasterKeyMissing(key_id)
    if code in _BUSY or status >= 500 or status == 429:
        return MasterKeyUnavailable(key_id, f"AWS KMS is busy ({code or status})")
    return MasterKeyRefused(key_id, f"AWS KMS says {code or status}")


def _name(error: BaseException) -> str:
    return type(error).__name__
