"""A manifest repository on this machine: a directory or a bare repository, by git's plumbing.

The working tree and the index are never touched; what is not committed is not seen.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import AuthenticationError, ConflictError, ManifestError, UsageError
from gitops_release.core.git import Author, BaseCommit, Commit
from gitops_release.core.manifest import FileMode, ManifestFile
from gitops_release.core.release_commit import commit_message
from gitops_release.forges.paths import check_path, is_manifest
from gitops_release.system.files import private_directory
from gitops_release.system.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gitops_release.core.releasing import PublishBranch
    from gitops_release.system.processes import Processes

NO_COMMIT: Final = "0" * 40
BOT: Final = Author("gitops-release", "gitops-release@users.noreply.github.com")
_MODES: Final = {mode.value: mode for mode in FileMode}
_HEADER: Final = re.compile(r"^(tree|author) (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A blob of a commit's tree."""

    path: str
    mode: FileMode
    blob: str


class LocalRepository:
    """Reads commits of a local repository and publishes branches in it."""

    def __init__(self, git: Git) -> None:
        self._git = git

    @classmethod
    def open(cls, directory: Path, processes: Processes) -> LocalRepository:
        """Return the repository in a directory; raise ``UsageError`` if there is none."""
        if not directory.is_dir():
            raise UsageError(
                f"expected a directory with a git repository, found none at {directory}",
                hint="a GitHub repository is written OWNER/NAME, a local one ./DIRECTORY",
            )
        git = Git(processes, directory)
        found = git.ask("rev-parse", "--git-dir")
        if found.returncode != 0:
            raise UsageError(
                f"expected a git repository in {directory}, found: {found.message}",
                hint="clone the manifest repository, or run git init and commit there",
            )
        return cls(git)

    def base(self, branch: str | None) -> BaseCommit:
        """Return the tip of a branch, by default the one that HEAD names."""
        name = branch or self._git.ask("symbolic-ref", "--short", "HEAD").stdout.decode().strip()
        if not name:
            raise UsageError(
                f"expected a branch checked out in {self._git.directory}, found a detached HEAD",
                hint="name the branch to release into with --base",
            )
        sha = self._resolve(f"refs/heads/{name}")
        if sha is None:
            branches = self._git.run("for-each-ref", "--format=%(refname:short)", "refs/heads")
            raise UsageError(
                f"expected a branch {name!r} in {self._git.directory}, found "
                f"{', '.join(branches.decode().split()) or 'none'}",
                hint="name the branch to release into with --base",
            )
        return BaseCommit(name, sha)

    def check_writable(self) -> None:
        """Raise ``AuthenticationError`` unless this user may write objects and branches."""
        for name in ("objects", "refs"):
            path = Path(self._git.word("rev-parse", "--path-format=absolute", "--git-path", name))
            if not os.access(path, os.W_OK):
                raise AuthenticationError(
                    f"expected to write {path}, found that this user may not",
                    hint="whose is the repository?",
                )

    def candidates(
        self, commit: str, globs: Sequence[str], needles: Sequence[bytes]
    ) -> Iterator[ManifestFile]:
        """Give the manifests at a commit that hold a needle."""
        entries = {entry.path: entry for entry in self._entries(commit, [])}
        found = [
            path
            for path in self._grep(commit, needles)
            if path in entries and is_manifest(path, globs)
        ]
        contents = self._contents([entries[path].blob for path in found])
        for path, content in zip(found, contents, strict=True):
            check_path(path)
            yield ManifestFile(path, entries[path].mode, content)

    def commit_of(self, branch: str) -> Commit | None:
        """Return the tip of a branch; ``None`` if there is no such branch."""
        sha = self._resolve(f"refs/heads/{branch}")
        if sha is None:
            return None
        header, _, message = (
            self._git.run("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")
        )
        fields = dict(_HEADER.findall(header))
        author = re.sub(r" \d+ [+-]\d{4}$", "", fields["author"])
        return Commit(sha, fields["tree"], message, author)

    def read(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes | None]:
        """Return the content of files at a commit; ``None`` for what is no regular file there."""
        wanted = list(paths)
        entries = {entry.path: entry.blob for entry in self._entries(commit, wanted)}
        present = [path for path in wanted if path in entries]
        contents = self._contents([entries[path] for path in present])
        return dict.fromkeys(wanted) | dict(zip(present, contents, strict=True))

    def publish(self, action: PublishBranch) -> str:
        """Commit the changes and let the branch point there, if it is where it should be."""
        tree = self._tree(action)
        message = commit_message(action.message, release=action.release, tree=tree)
        parents = [parent for parent in (action.head, action.base.sha) if parent is not None]
        commit = self._git.word(
            "commit-tree",
            tree,
            *(part for parent in parents for part in ("-p", parent)),
            stdin=message.encode(),
            extra=self._identity(action.author),
        )
        ref = f"refs/heads/{action.branch}"
        moved = self._git.ask(
            "update-ref", "-m", "gitops-release", ref, commit, action.head or NO_COMMIT
        )
        if moved.returncode != 0:
            raise ConflictError(
                f"expected the branch {action.branch} "
                f"{'not to exist' if action.head is None else f'at {action.head}'}, found: "
                f"{moved.message}",
                hint="somebody else was there first: run again to see what is left to do",
            )
        return commit

    def _resolve(self, ref: str) -> str | None:
        found = self._git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def _entries(self, commit: str, paths: Sequence[str]) -> Iterator[_Entry]:
        """Give the regular files of a commit: symbolic links and submodules are never edited."""
        listed = self._git.run(
            "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths
        )
        for line in listed.split(b"\0"):
            about, tab, path = line.partition(b"\t")
            mode, _, blob = about.decode().partition(" blob ")
            if tab and mode in _MODES:
                yield _Entry(path.decode(errors="surrogateescape"), _MODES[mode], blob)

    def _grep(self, commit: str, needles: Sequence[bytes]) -> list[str]:
        """Return the paths of files that hold a needle; ``-a`` since manifests may look binary."""
        patterns = b"\n".join(needles)
        found = self._git.ask(
            *("grep", "-l", "-z", "-a", "-F", "--full-name", "--no-recurse-submodules"),
            *("-f", "-", commit, "--", ":/"),
            stdin=patterns,
        )
        match found.returncode:
            case 0 | 1:
                prefix = f"{commit}:".encode()
                paths = [path.removeprefix(prefix) for path in found.stdout.split(b"\0") if path]
                return sorted(path.decode(errors="surrogateescape") for path in paths)
            case _:
                raise ManifestError(
                    f"git grep failed in {self._git.directory}: {found.message}",
                    hint="run git fsck there",
                )

    def _contents(self, blobs: Sequence[str]) -> list[bytes]:
        if not blobs:
            return []
        output = self._git.run("cat-file", "--batch", stdin="\n".join(blobs).encode())
        contents = []
        position = 0
        for _ in blobs:
            end = output.index(b"\n", position)
            size = int(output[position:end].rpartition(b" ")[2])
            contents.append(output[end + 1 : end + 1 + size])
            position = end + size + 2
        return contents

    def _tree(self, action: PublishBranch) -> str:
        """Write the base's tree with the changed files, by an index of our own."""
        lines = []
        for change in action.changes:
            blob = self._git.word("hash-object", "-w", "--stdin", stdin=change.new)
            path = change.path.encode(errors="surrogateescape")
            lines.append(f"{change.mode.value} {blob}\t".encode() + path + b"\0")
        with private_directory() as directory:
            extra = {"GIT_INDEX_FILE": str(directory / "index")}
            self._git.run("read-tree", action.base.sha, extra=extra)
            self._git.run("update-index", "-z", "--index-info", stdin=b"".join(lines), extra=extra)
            return self._git.word("write-tree", extra=extra)

    def _identity(self, author: Author | None) -> Mapping[str, str]:
        """Return the author's variables: as asked, else git's own setting, else the bot's."""
        if author is None:
            if self._git.ask("var", "GIT_COMMITTER_IDENT").returncode == 0:
                return {}
            author = BOT
        return {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": author.name,
            "GIT_COMMITTER_EMAIL": author.email,
        }
