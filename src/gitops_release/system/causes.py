"""Why something failed, below the wrappings of libraries."""

from __future__ import annotations


def innermost_cause(error: BaseException) -> str:
    """Return the innermost reason in words: requests wraps urllib3 wraps the socket's error."""
    seen = error
    while True:
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        seen = inner
    text = seen.strerror if isinstance(seen, OSError) and seen.strerror else str(seen)
    return text or type(seen).__name__
