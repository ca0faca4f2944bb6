"""What goes over the wire: requests in, objects out, identifiers, and the text of every 400."""

from __future__ import annotations

from ragen_actor.schema.answers import deleted_message, deleted_thread, render_page
from ragen_actor.schema.ids import (
    is_well_formed,
    make_message_id,
    make_thread_id,
    message_sequence,
    thread_key,
)
from ragen_actor.schema.metadata import merge_metadata
from ragen_actor.schema.objects import (
    PLACEHOLDER,
    Attachment,
    Message,
    Part,
    Role,
    Text,
    TextPart,
    Thread,
    decode_message,
    decode_thread,
    encode,
)
from ragen_actor.schema.query import ListQuery, parse_list_query
from ragen_actor.schema.requests import (
    CreateThread,
    ModifyMessage,
    ModifyThread,
    NewMessage,
    parse_create_message,
    parse_create_thread,
    parse_modify_message,
    parse_modify_thread,
)
from ragen_actor.schema.wording import encrypted_thread

__all__ = [
    "PLACEHOLDER",
    "Attachment",
    "CreateThread",
    "ListQuery",
    "Message",
    "ModifyMessage",
    "ModifyThread",
    "NewMessage",
    "Part",
    "Role",
    "Text",
    "TextPart",
    "Thread",
    "decode_message",
    "decode_thread",
    "deleted_message",
    "deleted_thread",
    "encode",
    "encrypted_thread",
    "is_well_formed",
    "make_message_id",
    "make_thread_id",
    "merge_metadata",
    "message_sequence",
    "parse_create_message",
    "parse_create_thread",
    "parse_list_query",
    "parse_modify_message",
    "parse_modify_thread",
    "render_page",
    "thread_key",
]
