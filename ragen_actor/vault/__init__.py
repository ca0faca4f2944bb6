"""What only the dashboard and its operator may open: encrypted threads, and the keys to them.

A message is sealed under its thread's data key (`envelope`). That stands in the thread's entry,
wrapped by a master key (`master_key`), which lies in a file (`master_key_file`) or in AWS KMS
(`kms`). The public API and the actors never come here: they hold sealed bytes and no key.
"""

from ragen_actor.vault.opening import MasterKeys
from ragen_actor.vault.vault import ListedThread, MessagePage, ThreadPage, Turn, Vault

__all__ = ["ListedThread", "MasterKeys", "MessagePage", "ThreadPage", "Turn", "Vault"]
