"""What a setting may be: its type, which holds its bounds, and these in words."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from msgspec import inspect

from ragen_actor.settings import SECTIONS, TIER_SECTIONS, KmsKeyId, RequestsPerMinute


def setting_type(section: str, key: str) -> Any:
    """Return the annotated type of one setting, which holds its bounds.

    Raises:
        KeyError: There is no such setting.
    """
    if section in TIER_SECTIONS:
        return RequestsPerMinute
    return {item.name: item.type for item in msgspec.structs.fields(SECTIONS[section])}[key]


def allowed(kind: Any) -> str:
    """Say in words what a setting of this type may be: `a whole number from 0 to 65535`."""
    match inspect.type_info(kind):
        case inspect.IntType(ge=low, le=high, multiple_of=None):
            return f"a whole number from {low} to {high}"
        case inspect.IntType(ge=low, le=high, multiple_of=unit):
            return f"a whole number from {low} to {high}, a multiple of {unit}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.UnionType(types=(inspect.BoolType(), inspect.LiteralType(values=(word,)))):
            return f'true, false or "{word}"'
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
        case inspect.VarTupleType(item_type=inspect.CustomType()):
            return 'a list of paths, as ["/etc/ragen/master.key"]'
        case inspect.StrType() if kind is KmsKeyId:
            return "the id, ARN or alias of a key in AWS KMS"
        case (
            inspect.Metadata(extra_json_schema={"description": words})
            | inspect.VarTupleType(
                item_type=inspect.Metadata(extra_json_schema={"description": words})
            )
        ):
            return str(words)
        case inspect.VarTupleType(item_type=inspect.StrType(pattern=None)):
            return 'a list of addresses or networks, as ["10.0.0.0/8"]'
        case inspect.VarTupleType():
            return 'a list of origins, as ["https://app.example"], or ["*"] for all'
        case inspect.CustomType():
            return "the path of a directory"
        case _:
            return "an address or a host name"
