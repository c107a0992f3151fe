"""A wheel of a helper that does nothing but tell how it was called."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

RECORDS: Final = "STUB_RECORDS"
"""The variable that names the directory for the records."""

_MAIN: Final = """
import json, os, sys, uuid
from pathlib import Path

output = os.path.expandvars(os.environ.get("GITOPS_RELEASE_ORB_OUTPUT", ""))
source = os.environ.get("GITOPS_RELEASE_ORB_IMAGES_FROM", "")
files = Path(source).glob("*.json") if os.path.isdir(source) else []
record = {
    "argv": sys.argv[1:],
    "environment": {k: v for k, v in os.environ.items() if k.startswith("GITOPS_RELEASE_")},
    "directory": os.getcwd(),
    "path": sys.path,
    "images": sorted(p.read_text() for p in files),
}
if output:
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(os.environ.get("GITOPS_RELEASE_ORB_IMAGE", ""))
Path(os.environ["STUB_RECORDS"], uuid.uuid4().hex).write_text(json.dumps(record))
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the stub."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    path: list[str]
    images: list[str]

    def option(self, name: str) -> str:
        """Return the value that the orb passed for an option."""
        return self.environment[f"GITOPS_RELEASE_ORB_{name.upper()}"]


def build_stub(directory: Path, version: str) -> Path:
    """Return a wheel, without dependencies, whose package is called as the real one."""
    info = f"gitops_release-{version}.dist-info"
    files = {
        "gitops_release/__init__.py": "",
        "gitops_release/__main__.py": _MAIN,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: gitops-release\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},{_digest(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"gitops_release-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def calls(records: Path) -> dict[str, list[Call]]:
    """Return the recorded calls by command."""
    found: dict[str, list[Call]] = {}
    for file in records.iterdir():
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found.setdefault(record["argv"][0], []).append(Call(**record))
    return found


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
