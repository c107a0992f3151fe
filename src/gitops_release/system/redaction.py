"""Keeps secrets out of everything that is shown."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.core.credentials import Secret

MASK: Final = "***"
MIN_LENGTH: Final = 4  # CircleCI's rule: shorter values would mask half of any log

# Secrets that were never told to us, by their issuers' documented forms.
_KNOWN_FORMS: Final = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"
    r"|ya29\.[\w.-]{20,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*"
)


@dataclass(slots=True)
class Redactor:
    """Masks every secret it was told of, in the encodings that tools print, and known forms."""

    _forms: set[str] = field(default_factory=set, repr=False)

    def hide(self, secret: Secret) -> None:
        """From now on the secret is masked."""
        self.hide_text(secret.reveal())

    def hide_text(self, value: str) -> None:
        """From now on the text is masked, such as a token that a service has just issued."""
        if len(value) >= MIN_LENGTH:
            self._forms.update(_encodings(value))

    def redact(self, text: str) -> str:
        """Return the text with secrets masked."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, MASK)
        return _KNOWN_FORMS.sub(MASK, text)


def _encodings(value: str) -> Iterator[str]:
    yield value
    content = value.encode(errors="surrogatepass")
    with contextlib.suppress(UnicodeEncodeError):
        content = os.fsencode(value)  # a variable's value need not be UTF-8
    yield quote(content, safe="")
    yield quote_plus(content)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield base64.b64encode(content).decode()
    yield base64.urlsafe_b64encode(content).decode().rstrip("=")
    # Lines of a secret, such as a private key's, are printed one by one.
    yield from (line for line in value.splitlines() if len(line) >= MIN_LENGTH * 4)
