"""Give a scalar another value where it stands, in the style it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitops_release.manifests.quoting import scalar_text
from gitops_release.manifests.spans import LINE_BREAK, Read, RefusedError, Splice

if TYPE_CHECKING:
    from gitops_release.manifests.document import Scalar
    from gitops_release.manifests.places import SetValue

_STRING_TAGS: Final = frozenset({None, "!", "tag:yaml.org,2002:str"})


def set_scalar(content: bytes, scalar: Scalar, change: SetValue) -> Splice | None:
    """Return what gives the scalar its new value, ``None`` if it reads so already.

    Only what follows the first ``change.keep`` characters is replaced: a name keeps its spelling.
    Raise ``RefusedError`` for a scalar whose bytes are not its text on one line.
    """
    if scalar.tag not in _STRING_TAGS:
        raise RefusedError(change.node, f"its value has the tag {scalar.tag}")
    match scalar.style:
        case "":
            return _set_plain(content, scalar, change)
        case "|" | ">":
            return _set_block(content, scalar, change)
        case _:
            return _set_quoted(content, scalar, change)


def _set_plain(content: bytes, scalar: Scalar, change: SetValue) -> Splice | None:
    if LINE_BREAK.search(content, scalar.start, scalar.end):
        raise RefusedError(change.node, "its value continues on the next line")
    # A scalar with the tag !!str is a string without quotes too.
    text = change.new if scalar.tag is not None else scalar_text(change.new)
    if text == scalar.value:
        return None
    start, style = scalar.start, text[0]
    if text == change.new:
        style = ""
        start += len(text[: change.keep].encode())
        text = text[change.keep :]
    if scalar.start == scalar.end and not content[:start].endswith((b" ", b"\t")):
        text = f" {text}"  # `tag:` is filled behind the colon
    return _splice(scalar, start, scalar.end, text, Read(change.new, style))


def _set_quoted(content: bytes, scalar: Scalar, change: SetValue) -> Splice | None:
    inner = content[scalar.start + 1 : scalar.end - 1]
    old, new = scalar.value[change.keep :].encode(), change.new[change.keep :]
    written = inner.endswith(old) if change.keep else inner == old
    if not written or LINE_BREAK.search(inner):
        raise RefusedError(change.node, "its value is written with escapes or line breaks")
    if change.new == scalar.value:
        return None
    end = scalar.end - 1
    return _splice(scalar, end - len(old), end, new, Read(change.new, scalar.style))


def _set_block(content: bytes, scalar: Scalar, change: SetValue) -> Splice | None:
    text = scalar.value.strip()
    header = LINE_BREAK.search(content, scalar.start, scalar.end)
    start = content.find(text.encode(), header.end(), scalar.end) if header and text else -1
    if header is None or content[header.end() : scalar.end].strip() != text.encode():
        raise RefusedError(change.node, "its value is not one line of text")
    if change.new == text:
        return None
    value = scalar.value.replace(text, change.new, 1)
    kept = start + len(text[: change.keep].encode())
    end = start + len(text.encode())
    return _splice(scalar, kept, end, change.new[change.keep :], Read(value, scalar.style))


def _splice(scalar: Scalar, start: int, end: int, text: str, read: Read) -> Splice:
    return Splice(start, end, text.encode(), changed=((scalar.number, read),))
