"""What a model can read in a part of a request, and what nobody here can.

Every string is taken, wherever it stands; what is sealed or encoded is counted by its kind.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bluecode.defenses.conversation import Message, Role
from bluecode.proxy.wire.reading import WireError

_PART_KINDS = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "redacted_thinking": "reasoning",
    "reasoning.encrypted": "reasoning",
}
_OPAQUE = {
    "data": "other",
    "file_data": "file",
    "b64_json": "image",
    "signature": "reasoning",
    "thought_signature": "reasoning",
    "encrypted_content": "reasoning",
    "encrypted": "reasoning",
    "reasoning_opaque": "reasoning",
}
"""Fields that hold what nobody here can read; counted, never taken for screened."""
_LABELS = frozenset(
    "role type id index tool_call_id tool_use_id call_id cache_control detail format url file_id"
    " mime_type media_type prefix partial".split()
)
_LABEL_LENGTH = 200
_BASE64 = re.compile(r"[\w+/=-]{200,}")


def read(value: Any, key: str, texts: list[str], unread: set[str]) -> None:
    """Every readable string in a value; what cannot be read, by its kind."""
    stack: list[tuple[str, str, Any]] = [(key, "other", value)]
    while stack:
        name, kind, item = stack.pop()
        if isinstance(item, str):
            _read_string(name, kind, item, texts, unread)
        elif isinstance(item, list):
            stack += [(name, kind, part) for part in reversed(item)]
        elif isinstance(item, dict):
            told = item.get("type")
            if isinstance(told, str) and told in _PART_KINDS:
                kind = _PART_KINDS[told]
                unread.add(kind)
            stack += [(under, kind, part) for under, part in reversed(item.items())]


def read_part(part: Any, texts: list[str], unread: set[str]) -> None:
    """The same for one part of a message; a part without anything is of a kind unknown here."""
    before = len(texts), len(unread)
    read(part, "", texts, unread)
    if (len(texts), len(unread)) == before:
        unread.add("other")


def _read_string(name: str, kind: str, text: str, texts: list[str], unread: set[str]) -> None:
    if name in _OPAQUE and _BASE64.match(text) and " " not in text:
        unread.add(kind if kind != "other" else _OPAQUE[name])
    elif text.startswith("data:") and ";base64," in text[:_LABEL_LENGTH] and " " not in text:
        unread.add(kind)
    elif text and (name not in _LABELS or len(text) > _LABEL_LENGTH or " " in text):
        texts.append(text)


def extras(
    payload: Mapping[str, Any], without: frozenset[str], roles: Mapping[str, Role]
) -> Iterator[Message]:
    """What else of a request the model can read, field by field: all but `without`.

    A field speaks in the role that `roles` gives it, or as the user.
    """
    for key in sorted(payload.keys() - without):
        texts: list[str] = []
        unread: set[str] = set()
        read(payload[key], "", texts, unread)
        if texts or unread:
            yield Message(
                role=roles.get(key, Role.USER),
                text="\n".join(texts),
                unread=tuple(sorted(unread)),
            )


def refuse_variants(item: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """Some servers take `Content` for `content`; what they would read must be what was screened."""
    if item.keys() <= known:
        return
    for key in item.keys() - known:
        if key.strip().lower() in known:
            raise WireError(
                400, f"{what} has a field whose name differs from the protocol's in case."
            )
