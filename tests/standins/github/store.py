"""The git side of a repository: plumbing commands over a real bare repository."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ZERO = "0" * 40
REGULAR, TREE, GITLINK = "100644", "040000", "160000"
TYPES = {TREE: "tree", GITLINK: "commit"}

# Clients push to these repositories with plain git: a background gc would outlive the test.
SETTINGS = """
[gc]
\tauto = 0
[maintenance]
\tauto = false
[receive]
\tautogc = false
[uploadpack]
\tallowAnySHA1InWant = true
"""


class GitError(Exception):
    """A git command that failed, with what it said and the status it ended with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Entry:
    """One entry of a tree; the mode is written with six digits, as GitHub does."""

    mode: str
    sha: str
    size: int | None = None

    @property
    def type(self) -> str:
        return TYPES.get(self.mode, "blob")


@dataclass(frozen=True)
class Signature:
    """Who made a commit, and when; the date carries its offset."""

    name: str
    email: str
    date: datetime

    @classmethod
    def parse(cls, line: str) -> Signature:
        person, seconds, _offset = line.rsplit(" ", 2)
        name, _, email = person.partition(" <")
        return cls(name, email.rstrip(">"), datetime.fromtimestamp(int(seconds), timezone.utc))

    def __str__(self) -> str:
        name, email = (text.translate(dict.fromkeys(map(ord, "<>\n"))) for text in self.person)
        return f"{name} <{email}> {int(self.date.timestamp())} {self.date:%z}"

    @property
    def person(self) -> tuple[str, str]:
        return self.name, self.email


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True)
class Change:
    """What a diff says of one file; additions and deletions are 0 for a binary file."""

    path: str
    previous_path: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str


def git_environment() -> dict[str, str]:
    """Return an environment in which no setting of the machine or of a calling git has effect."""
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_git(
    *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> bytes:
    """Run git to its end and return its output; GitError when it fails."""
    result = subprocess.run(
        ["git", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={**git_environment(), **(environment or {})},
    )
    if result.returncode:
        raise GitError(result.returncode, result.stderr.decode(errors="replace").strip())
    return result.stdout


class GitStore:
    """One bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, source: Path | None) -> GitStore:
        """Make a bare repository: a clone of a repository or bundle, of a folder's files, or empty.

        A folder of files becomes one commit on `main`.
        """
        is_folder_of_files = (
            source is not None
            and source.is_dir()
            and not (source / ".git").exists()
            and not (source / "objects").exists()
        )
        if source is None or is_folder_of_files:
            run_git("init", "--quiet", "--bare", "--initial-branch=main", str(path))
        else:
            run_git("clone", "--quiet", "--bare", str(source), str(path))
        store = cls(path)
        with (path / "config").open("a", encoding="utf-8") as config:
            config.write(SETTINGS)
        if source is not None and is_folder_of_files:
            store._import_files(source)
        return store

    def _import_files(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.path) as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            self.git(
                f"--work-tree={folder}", "add", "--all", "--force", str(folder), environment=index
            )
            tree = self.text("write-tree", environment=index)
        author = Signature("Octocat", "octocat@example.com", datetime.now(timezone.utc))
        commit = self.write_commit(tree, [], author, author, "Initial commit\n")
        self.move_ref("refs/heads/main", commit, ZERO)

    def git(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> bytes:
        return run_git(f"--git-dir={self.path}", *arguments, stdin=stdin, environment=environment)

    def text(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> str:
        return self.git(*arguments, stdin=stdin, environment=environment).decode().strip()

    def holds(self, *arguments: str) -> bool:
        """Tell whether a command that asks a question succeeds."""
        try:
            self.git(*arguments)
        except GitError:
            return False
        return True

    # References

    def default_branch(self) -> str:
        return self.text("symbolic-ref", "--short", "HEAD")

    def is_empty(self) -> bool:
        return not self.refs("refs/heads/")

    def refs(self, prefix: str) -> dict[str, str]:
        """Return the references whose name starts with the prefix, sorted by name."""
        found: dict[str, str] = {}
        for line in self.text("for-each-ref", "--format=%(refname) %(objectname)").splitlines():
            name, sha = line.split(" ")
            if name.startswith(prefix):
                found[name] = sha
        return found

    def ref(self, name: str) -> str | None:
        return self.refs(name).get(name)

    def branch(self, name: str) -> str | None:
        return self.ref(f"refs/heads/{name}")

    def is_legal_ref(self, name: str) -> bool:
        return self.holds("check-ref-format", name)

    def move_ref(self, name: str, new: str, old: str) -> bool:
        """Move the reference if it still points at `old` (ZERO: if it does not exist)."""
        return self.holds("update-ref", "--", name, new, old)

    def delete_ref(self, name: str, old: str) -> bool:
        return self.holds("update-ref", "-d", "--", name, old)

    def fetch(self, other: GitStore, source: str, target: str) -> None:
        """Bring over what a reference leads to; it gets the target's name if that is not empty."""
        self.git(
            "fetch", "--quiet", "--no-write-fetch-head", str(other.path), f"+{source}:{target}"
        )

    # Objects

    def type_of(self, sha: str) -> str | None:
        try:
            return self.text("cat-file", "-t", sha)
        except GitError:
            return None

    def resolve(self, revision: str, kind: str = "commit") -> str | None:
        """Return the object that the revision names, as far as it leads to the kind."""
        try:
            return self.text(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{{kind}}}"
            ).splitlines()[-1]
        except GitError:
            return None

    def read_blob(self, sha: str) -> bytes:
        return self.git("cat-file", "blob", sha)

    def write_blob(self, content: bytes) -> str:
        return self.text("hash-object", "-w", "--stdin", stdin=content)

    def read_tree(self, sha: str, *, recursive: bool = False) -> dict[str, Entry]:
        """Return the entries by path; a recursive listing names the trees too, as GitHub does."""
        options = ["-r", "-t"] if recursive else []
        listing = self.git("ls-tree", "-z", "--long", *options, sha).decode()
        entries: dict[str, Entry] = {}
        for line in listing.split("\0")[:-1]:
            facts, path = line.split("\t", 1)
            mode, _type, entry_sha, size = facts.split()
            entries[path] = Entry(mode, entry_sha, None if size == "-" else int(size))
        return entries

    def read_files(self, tree: str) -> dict[str, Entry]:
        """Return everything in the tree but the trees themselves."""
        entries = self.read_tree(tree, recursive=True)
        return {path: entry for path, entry in entries.items() if entry.mode != TREE}

    def write_tree(self, files: dict[str, Entry]) -> str:
        """Write the tree of these files; GitError when one of them is not in the repository."""
        lines = "".join(f"{entry.mode} {entry.sha}\t{path}\0" for path, entry in files.items())
        with tempfile.TemporaryDirectory(dir=self.path) as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            self.git("update-index", "-z", "--index-info", stdin=lines.encode(), environment=index)
            return self.text("write-tree", environment=index)

    def read_commit(self, sha: str) -> Commit:
        head, _, message = (
            self.git("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")
        )
        headers = [line.partition(" ")[::2] for line in head.splitlines()]
        single = dict(headers)
        return Commit(
            sha=sha,
            tree=single["tree"],
            parents=tuple(value for name, value in headers if name == "parent"),
            author=Signature.parse(single["author"]),
            committer=Signature.parse(single["committer"]),
            message=message,
        )

    def write_commit(
        self,
        tree: str,
        parents: list[str],
        author: Signature,
        committer: Signature,
        message: str,
    ) -> str:
        # Not commit-tree: it would complete the last line, and GitHub keeps the message as sent.
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author}", f"committer {committer}", "", message]
        content = "\n".join(lines).encode()
        return self.text("hash-object", "-t", "commit", "-w", "--stdin", stdin=content)

    # History

    def merge_base(self, one: str, other: str) -> str | None:
        try:
            return self.text("merge-base", one, other)
        except GitError:
            return None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        return self.holds("merge-base", "--is-ancestor", ancestor, descendant)

    def commits_between(self, base: str, head: str) -> list[str]:
        """Return the commits that head has and base has not, oldest first."""
        return self.text("rev-list", "--reverse", "--topo-order", f"{base}..{head}").splitlines()

    def merged_tree(self, base: str, head: str) -> str | None:
        """Return the tree of a merge, or nothing when it has conflicts."""
        try:
            return self.text("merge-tree", "--write-tree", base, head)
        except GitError as error:
            if error.status == 1:
                return None
            raise  # a git before 2.38 does not know how

    def first_changes(self, commit: str) -> list[Change]:
        """Return what a commit without parents adds."""
        return self.changes(self.write_tree({}), commit)

    def changes(self, old: str, new: str) -> list[Change]:
        """Return the differences between two commits or trees, renames found."""
        raw = self.git("diff-tree", "-r", "-z", "-M", "--no-abbrev", old, new).decode()
        fields = iter(raw.split("\0")[:-1])
        return [self._change(old, new, facts, fields) for facts in fields]

    def _change(self, old: str, new: str, facts: str, fields: Iterator[str]) -> Change:
        _old_mode, _new_mode, old_sha, new_sha, status = facts.split()
        first = next(fields)
        path = next(fields) if status[0] in "RC" else first
        paths = sorted({first, path})
        counts = self.text("diff-tree", "-r", "-M", "--numstat", old, new, "--", *paths)
        added, deleted = (0 if n == "-" else int(n) for n in counts.split("\t")[:2])
        patch = self.git("diff-tree", "-r", "-M", "-p", old, new, "--", *paths)
        text = patch.decode(errors="replace")
        _, found, hunks = text.partition("\n@@")
        return Change(
            path=path,
            previous_path=first if path != first else None,
            status=status[0],
            sha=old_sha if status == "D" else new_sha,
            additions=added,
            deletions=deleted,
            patch=f"@@{hunks.rstrip()}" if found else "",
        )

    def archive(self, revision: str, folder: str) -> bytes:
        """Return a compressed tar archive with everything under the folder."""
        return self.git("archive", "--format=tar.gz", f"--prefix={folder}/", revision)
