"""Makes and reads commits of any shape in a git repository, past the program under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.fakes import SUBMODULE, FakeCommit, Tree
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PERSON: Final = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.com",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.com",
}


@dataclass(frozen=True)
class GitBehind:
    """A repository by its git directory: bare, or the `.git` of a working tree."""

    git_dir: Path

    def git(
        self, *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        return run_git(
            f"--git-dir={self.git_dir}",
            *arguments,
            stdin=stdin,
            environment={**PERSON, **(variables or {})},
        )

    def text(self, *arguments: str) -> str:
        return self.git(*arguments).decode().strip()

    def commit(self, branch: str, files: Tree, message: str = "a person's work") -> str:
        """Let the branch name a new commit of exactly these files, upon its tip if it has one.

        A submodule's content is the object id of its commit.
        """
        tree = self._tree(files)
        tip = self.branches.get(branch)
        parents = [] if tip is None else ["-p", tip]
        commit = self.git("commit-tree", tree, *parents, stdin=message.encode()).decode().strip()
        self.point(branch, commit)
        return commit

    def point(self, branch: str, commit: str) -> None:
        self.git("update-ref", f"refs/heads/{branch}", commit)

    @property
    def branches(self) -> dict[str, str]:
        listed = self.text(
            "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
        )
        return dict(line.split(" ") for line in listed.splitlines())

    def commit_at(self, revision: str) -> FakeCommit:
        """Return a commit with all that its tree holds."""
        raw = self.git("cat-file", "commit", revision).decode()
        header, _, message = raw.partition("\n\n")
        fields = [line.split(" ", 1) for line in header.splitlines()]
        author = next(value for name, value in fields if name == "author")
        return FakeCommit(
            sha=self.text("rev-parse", revision),
            tree=next(value for name, value in fields if name == "tree"),
            files=self.files_at(revision),
            parents=tuple(value for name, value in fields if name == "parent"),
            message=message,
            author=author.rsplit(" ", 2)[0],
        )

    def files_at(self, revision: str) -> Tree:
        files = {}
        for line in self.git("ls-tree", "-r", "-z", "--full-tree", revision).split(b"\0")[:-1]:
            about, _, path = line.decode().partition("\t")
            mode, kind, sha = about.split()
            content = self.git("cat-file", "blob", sha) if kind == "blob" else sha.encode()
            files[path] = (mode, content)
        return files

    def _tree(self, files: Tree) -> str:
        """Write a tree with mktree, which takes paths that an index would refuse."""
        folders: dict[str, dict[str, tuple[str, bytes]]] = {}
        lines = []
        for path, (mode, content) in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = (mode, content)
            elif mode == SUBMODULE:
                lines.append(f"{mode} commit {content.decode()}\t{name}")
            else:
                lines.append(f"{mode} blob {self._blob(content)}\t{name}")
        lines += [f"040000 tree {self._tree(inside)}\t{name}" for name, inside in folders.items()]
        text = "".join(f"{line}\0" for line in lines)
        return self.git("mktree", "-z", "--missing", stdin=text.encode()).decode().strip()

    def _blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()


def new_repository(directory: Path, *, bare: bool) -> GitBehind:
    """Make an empty repository whose HEAD is main; a working tree is its parent directory."""
    options = ["--bare"] if bare else []
    run_git("init", "--quiet", "--initial-branch=main", *options, str(directory))
    return GitBehind(directory if bare else directory / ".git")
