"""GitHub by API alone, through PyGithub: no clone, no key, no working tree."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final

from github import Auth, Github, GithubException, GithubRetry, UnknownObjectException
from github.GitCommit import GitCommit
from github.GithubObject import NotSet
from github.InputGitAuthor import InputGitAuthor
from github.InputGitTreeElement import InputGitTreeElement

from gitops_release.core.errors import AuthenticationError, ConflictError, ServiceError, UsageError
from gitops_release.core.git import BaseCommit, Commit
from gitops_release.core.manifest import FileMode, ManifestFile
from gitops_release.core.release_commit import commit_message
from gitops_release.forges.github_errors import translated, words
from gitops_release.forges.paths import check_path, is_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from github.GitTreeElement import GitTreeElement
    from github.Permissions import Permissions
    from github.Repository import Repository

    from gitops_release.core.credentials import Secret
    from gitops_release.core.releasing import PublishBranch

PUBLIC_API: Final = "https://api.github.com"
TIMEOUT: Final = 30  # seconds without an answer
_SHA: Final = re.compile(r"[0-9a-f]{40}")


def connect(api_url: str, token: Secret | None, *, user_agent: str) -> Github:
    """Return a client that repeats reads only: PyGithub's default repeats writes too.

    ``None`` reads public repositories anonymously.
    """
    return Github(
        auth=None if token is None else Auth.Token(token.reveal()),
        base_url=api_url,
        timeout=TIMEOUT,
        user_agent=user_agent,
        per_page=100,
        retry=GithubRetry(
            total=4,
            backoff_factor=1,
            backoff_jitter=0.5,
            allowed_methods=frozenset({"GET", "HEAD"}),
            retry_after_max=90,
            max_rate_limit_wait=90,
            secondary_rate_wait=60,
        ),
        seconds_between_requests=0,
        seconds_between_writes=1,
        lazy=True,
    )


class GitHubRepository:
    """Reads commits of a GitHub repository and publishes branches in it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._files: dict[str, tuple[GitTreeElement, ...]] = {}  # by commit

    def base(self, branch: str | None) -> BaseCommit:
        """Return the tip of a branch, by default the repository's default branch."""
        with translated(f"the repository {self._name}"):
            name = branch or self._repository.default_branch
        sha = self._tip(name)
        if sha is None:
            raise UsageError(
                f"expected a branch {name!r} in {self._name}, found none",
                hint="name the branch to release into with --base",
            )
        return BaseCommit(name, sha)

    def check_writable(self) -> None:
        """Raise ``AuthenticationError`` unless the token may push to the repository.

        GitHub says nothing of a fine-grained token's right to open pull requests.
        """
        with translated(f"the repository {self._name}"):
            may_push = _may_push(self._repository.permissions)
        if not may_push:
            raise AuthenticationError(
                f"expected a token that may write {self._name}, found one that may read",
                hint="the token needs contents: write and pull_requests: write on the repository",
            )

    def candidates(
        self, commit: str, globs: Sequence[str], needles: Sequence[bytes]
    ) -> Iterator[ManifestFile]:
        """Give the manifests at a commit that hold a needle."""
        for entry in self._entries(commit):
            if not is_manifest(entry.path, globs):
                continue
            check_path(entry.path)
            content = self._content(entry.sha)
            if any(needle in content for needle in needles):
                yield ManifestFile(entry.path, FileMode(entry.mode), content)

    def commit_of(self, branch: str) -> Commit | None:
        """Return the tip of a branch; ``None`` if there is no such branch."""
        sha = self._tip(branch)
        if sha is None:
            return None
        with translated(f"the commit {sha} of {self._name}"):
            found = self._repository.get_git_commit(sha)
            author = f"{found.author.name} <{found.author.email}>"
            return Commit(sha, checked_sha(found.tree.sha), found.message, author)

    def read(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes | None]:
        """Return the content of files at a commit; ``None`` for what is no regular file there."""
        wanted = list(paths)
        if not wanted:
            return {}
        entries = {entry.path: entry.sha for entry in self._entries(commit)}
        return {path: self._content(entries[path]) if path in entries else None for path in wanted}

    def publish(self, action: PublishBranch) -> str:
        """Commit the changes and let the branch point there, if it is where it should be."""
        with translated(f"the commit for the branch {action.branch} of {self._name}"):
            commit = self._commit(action)
        with translated(f"the branch {action.branch} of {self._name}"):
            try:
                self._point(action, commit)
            except GithubException as error:
                # GitHub's answer to a lost race, and to a branch that is gone.
                if error.status != 422 and (error.status != 404 or action.head is None):  # noqa: PLR2004
                    raise
                raise self._lost_race(action, words(error)) from error
        return commit

    @property
    def _name(self) -> str:
        return self._repository.full_name

    def _tip(self, branch: str) -> str | None:
        with translated(f"the branch {branch} of {self._name}"):
            try:
                return checked_sha(self._repository.get_git_ref(f"heads/{branch}").object.sha)
            except UnknownObjectException:
                # A repository that we may not see answers 404 as well.
                self._repository.update()
                return None

    def _entries(self, commit: str) -> tuple[GitTreeElement, ...]:
        """Return the regular files of a commit: symbolic links and submodules are never edited."""
        if commit not in self._files:
            with translated(f"the files of {self._name} at {commit}"):
                tree = self._repository.get_git_tree(commit, recursive=True)
                if tree.raw_data.get("truncated"):
                    raise ServiceError(
                        f"expected all files of {self._name} at {commit[:7]}, found some of them",
                        hint="the repository is too large for GitHub's tree API",
                    )
                modes = {mode.value for mode in FileMode}
                self._files[commit] = tuple(entry for entry in tree.tree if entry.mode in modes)
        return self._files[commit]

    def _content(self, blob: str) -> bytes:
        with translated(f"the file {blob} of {self._name}"):
            found = self._repository.get_git_blob(blob)
            content = base64.b64decode(found.content)
        if blob_id(content) != blob:
            raise ServiceError(f"expected the file {blob} of {self._name}, found other content")
        return content

    def _commit(self, action: PublishBranch) -> str:
        repository = self._repository
        base = repository.get_git_commit(action.base.sha)
        elements = [
            InputGitTreeElement(change.path, change.mode.value, "blob", sha=self._blob(change.new))
            for change in action.changes
        ]
        tree = repository.create_git_tree(elements, base.tree)
        message = commit_message(action.message, release=action.release, tree=checked_sha(tree.sha))
        parents = [base] if action.head is None else [self._known_commit(action.head), base]
        author = action.author
        commit = repository.create_git_commit(
            message,
            tree,
            parents,
            author=NotSet if author is None else InputGitAuthor(author.name, author.email),
        )
        return checked_sha(commit.sha)

    def _blob(self, content: bytes) -> str:
        """Write a file's content and prove that GitHub has exactly these bytes."""
        blob = self._repository.create_git_blob(base64.b64encode(content).decode(), "base64")
        if blob.sha != blob_id(content):
            raise ServiceError(f"expected the blob {blob_id(content)}, found {blob.sha}")
        return blob.sha

    def _point(self, action: PublishBranch, commit: str) -> None:
        if action.head is None:
            self._repository.create_git_ref(f"refs/heads/{action.branch}", commit)
            return
        ref = self._repository.get_git_ref(f"heads/{action.branch}")
        # Reading a lazy reference also gives it the address that it is written at.
        if ref.object.sha != action.head:
            raise self._lost_race(action, f"it at {ref.object.sha}")
        # Not forced: the commit descends from the head that we looked at, or GitHub refuses.
        ref.edit(commit, force=False)

    def _lost_race(self, action: PublishBranch, found: str) -> ConflictError:
        return ConflictError(
            f"expected the branch {action.branch} of {self._name} "
            f"{'not to exist' if action.head is None else f'at {action.head}'}, found {found}",
            hint="somebody else was there first: run again to see what is left to do",
        )

    def _known_commit(self, sha: str) -> GitCommit:
        return GitCommit(self._repository.requester, {}, {"sha": sha}, completed=True)


def _may_push(permissions: Permissions | None) -> bool:
    """Say whether a token may push; without one GitHub names no permissions at all."""
    return permissions is not None and permissions.push


def checked_sha(value: object) -> str:
    """Return a git object id; a proxy's page with status 200 has none."""
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise ServiceError(
            f"expected a git object id from GitHub, found {value!r:.80}",
            hint="is --github-api-url the address of GitHub's API?",
        )
    return value


def blob_id(content: bytes) -> str:
    """Return git's object id of a file's content."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
