"""The ports in memory: what the contract tests say of every adapter is true of these, too.

Each fake keeps the order of its writes, and is broken on purpose by setting what it should raise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    GitopsReleaseError,
    ImmutableTagError,
    ServiceError,
    UsageError,
)
from gitops_release.core.git import Author, BaseCommit, Commit
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.manifest import FileMode, ManifestFile
from gitops_release.core.publishing import (
    AddTags,
    Build,
    BuildAndPush,
    CreateRepository,
    ImageDescription,
)
from gitops_release.core.release_commit import commit_message
from gitops_release.core.releasing import (
    OpenPullRequest,
    PublishBranch,
    PullRequest,
    PullRequestState,
    UpdatePullRequest,
)
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.forges.paths import is_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gitops_release.core.credentials import Credentials, CredentialSupplier

IMAGE_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OWNER: Final = Author("owner", "owner@example.com")
SYMLINK: Final = "120000"
SUBMODULE: Final = "160000"
_REGULAR: Final = {mode.value: mode for mode in FileMode}

Tree = Mapping[str, tuple[str, bytes]]
"""Paths with mode and content; the content of a symbolic link is its target."""


def digest_of(content: str) -> Digest:
    """Return the digest of a text, for images whose bytes do not matter."""
    return Digest(f"sha256:{hashlib.sha256(content.encode()).hexdigest()}")


def image(
    content: str,
    labels: Mapping[str, str] | None = None,
    *,
    platforms: tuple[str, ...] = ("linux/amd64",),
) -> ImageDescription:
    """Return an image whose digest is a function of its content and labels."""
    labels = dict(labels or {})
    return ImageDescription(
        digest=digest_of(f"{content} {sorted(labels.items())}"),
        configuration=digest_of(f"configuration of {content} {sorted(labels.items())}"),
        media_type=IMAGE_MANIFEST,
        size=len(content),
        platforms=platforms,
        created="2026-01-02T03:04:05Z",
        labels=labels,
    )


@dataclass
class FakeImages:
    """One repository of a registry: its manifests, and which of them the tags name.

    The tags in ``immutable`` do not move.
    """

    manifests: dict[Digest, ImageDescription] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    immutable: set[str] = field(default_factory=set)
    settings: RepositorySettings = field(default_factory=RepositorySettings)

    def name(self, digest: Digest, tags: Sequence[str]) -> None:
        """Let tags name a manifest."""
        for tag in tags:
            if tag in self.immutable and self.tags.get(tag, digest) != digest:
                raise ImmutableTagError(f"the tag {tag} is immutable", built=digest)
        self.tags.update(dict.fromkeys(tags, digest))


@dataclass
class FakeRegistry:
    """A registry; with ``users`` (name → password) everybody must log in.

    ``login`` is what its client was given. ``failure`` is raised whenever the registry is asked.
    Unless ``creates_on_push``, nothing can be pushed to a repository that was not created.
    """

    users: Mapping[str, str] | None = None
    login: Credentials | None = None
    failure: GitopsReleaseError | None = None
    creates_on_push: bool = True
    repositories: dict[Repository, FakeImages] = field(default_factory=dict)
    writes: list[AddTags | CreateRepository] = field(default_factory=list)
    asked: list[ImageReference] = field(default_factory=list)

    def credentials(self) -> Credentials | None:
        return self.login

    def describe(self, image: ImageReference) -> ImageDescription | None:
        self.asked.append(image)
        self.check(self.login)
        images = self.repositories.get(image.repository)
        if images is None:
            return None
        digest = image.digest or images.tags.get(image.tag or "")
        return None if digest is None else images.manifests.get(digest)

    def add_tags(self, repository: Repository, digest: Digest, tags: Sequence[str]) -> None:
        self.check(self.login)
        images = self.repositories.get(repository, FakeImages())
        if digest not in images.manifests:
            raise ServiceError(f"expected {repository}@{digest}, found nothing to tag")
        images.name(digest, tags)
        self.writes.append(AddTags(repository, digest, tuple(tags)))

    def repository_exists(self, repository: Repository) -> bool:
        self.check(self.login)
        return self.creates_on_push or repository in self.repositories

    def check_settings(self, settings: RepositorySettings) -> None:
        if self.creates_on_push and settings != RepositorySettings():
            raise UsageError("the first push creates a repository, without settings")

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        self.check(self.login)
        self.check_settings(settings)
        if self.creates_on_push:
            return
        self.writes.append(CreateRepository(repository, settings))
        self.repositories.setdefault(repository, FakeImages(settings=settings))

    def check(self, login: Credentials | None) -> None:
        """Raise as the registry answers somebody who comes with these credentials."""
        if self.failure is not None:
            raise self.failure
        if self.users is None:
            return
        if login is None or self.users.get(login.username) != login.password.reveal():
            raise AuthenticationError("the registry refused the user name or password")

    def put(
        self, repository: Repository, description: ImageDescription, tags: Sequence[str] = ()
    ) -> Digest:
        """Let the repository hold an image under tags: a push by whom it may concern."""
        images = self.repositories.setdefault(repository, FakeImages())
        images.manifests[description.digest] = description
        images.name(description.digest, tags)
        return description.digest


@dataclass
class FakeEngine:
    """Builds an image that is a function of what is built, and pushes it into the registry.

    ``missing`` is why it cannot work here, ``failure`` why no build succeeds.
    """

    registry: FakeRegistry
    missing: GitopsReleaseError | None = None
    failure: GitopsReleaseError | None = None
    builds: list[BuildAndPush] = field(default_factory=list)

    def describe(self) -> str:
        if self.missing is not None:
            raise self.missing
        return "a fake engine"

    def build_and_push(
        self, build: Build, references: Sequence[ImageReference], credentials: CredentialSupplier
    ) -> Digest:
        self.builds.append(BuildAndPush(build, tuple(references), self.describe()))
        if self.failure is not None:
            raise self.failure
        self.registry.check(credentials())
        built = image(repr(replace(build, pull=False, no_cache=False)), dict(build.labels))
        for reference in references:
            assert reference.tag is not None
            if not self.registry.repository_exists(reference.repository):
                raise BuildError(f"there is no repository {reference.repository}")
            self.registry.put(reference.repository, built, [reference.tag])
        return built.digest


@dataclass(frozen=True)
class FakeCommit:
    """A commit with all that its tree holds."""

    sha: str
    tree: str  # the object id
    files: Tree
    parents: tuple[str, ...]
    message: str
    author: str


@dataclass
class FakeManifestRepository:
    """Commits and branches; publishing is compare-and-swap.

    ``failure`` is raised instead of publishing, before anything is changed, and ``unwritable``
    as soon as somebody asks whether that would work.
    """

    default_branch: str = "main"
    failure: GitopsReleaseError | None = None
    unwritable: AuthenticationError | None = None
    commits: dict[str, FakeCommit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    writes: list[PublishBranch] = field(default_factory=list)

    def base(self, branch: str | None) -> BaseCommit:
        name = branch or self.default_branch
        if name not in self.branches:
            raise UsageError(f"expected a branch {name!r}, found none")
        return BaseCommit(name, self.branches[name])

    def candidates(
        self, commit: str, globs: Sequence[str], needles: Sequence[bytes]
    ) -> Iterator[ManifestFile]:
        for path, (mode, content) in sorted(self.commits[commit].files.items()):
            if mode in _REGULAR and is_manifest(path, globs) and any(n in content for n in needles):
                yield ManifestFile(path, _REGULAR[mode], content)

    def commit_of(self, branch: str) -> Commit | None:
        if branch not in self.branches:
            return None
        found = self.commits[self.branches[branch]]
        return Commit(found.sha, found.tree, found.message, found.author)

    def read(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes | None]:
        files = self.commits[commit].files
        regular = {path: content for path, (mode, content) in files.items() if mode in _REGULAR}
        return {path: regular.get(path) for path in paths}

    def check_writable(self) -> None:
        if self.unwritable is not None:
            raise self.unwritable

    def publish(self, action: PublishBranch) -> str:
        self.check_writable()
        if self.failure is not None:
            raise self.failure
        if self.branches.get(action.branch) != action.head:
            raise ConflictError(f"the branch {action.branch} is not at {action.head}")
        if any(_blocks(name, action.branch) for name in self.branches):
            raise ConflictError(f"the branch {action.branch} is blocked by another's name")
        base = self.commits[action.base.sha].files
        files = {**base, **{c.path: (c.mode.value, c.new) for c in action.changes}}
        parents = [sha for sha in (action.head, action.base.sha) if sha is not None]
        message = commit_message(action.message, release=action.release, tree=tree_id(files))
        self.writes.append(action)
        return self.commit(action.branch, files, message, parents, action.author or OWNER)

    def commit(
        self,
        branch: str,
        files: Tree,
        message: str = "a person's work",
        parents: Sequence[str] | None = None,
        author: Author = OWNER,
    ) -> str:
        """Let the branch name a new commit of exactly these files, by default upon its tip."""
        if parents is None:
            parents = [self.branches[branch]] if branch in self.branches else []
        tree = tree_id(files)
        identity = f"{tree} {parents} {author} {message} {len(self.commits)}"
        sha = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()
        made = FakeCommit(sha, tree, dict(files), tuple(parents), message, str(author))
        self.commits[sha] = made
        self.branches[branch] = sha
        return sha

    def files_of(self, branch: str) -> Tree:
        """Return what a branch holds."""
        return self.commits[self.branches[branch]].files


def _blocks(one: str, other: str) -> bool:
    """Say whether git cannot have both branches: one would be a file, and a directory too."""
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")


def tree_id(files: Tree) -> str:
    """Return an object id that is a function of the files."""
    text = repr(sorted((path, mode, content) for path, (mode, content) in files.items()))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class FakePull:
    """A pull request, with the branches that it is about."""

    request: PullRequest
    branch: str
    base: str
    fork: bool = False


@dataclass
class FakePullRequests:
    """The pull requests of a repository, whose heads are where its branches are.

    ``failure`` is raised by every write, ``refusal`` by every read, too.
    """

    repository: FakeManifestRepository
    failure: GitopsReleaseError | None = None
    refusal: GitopsReleaseError | None = None
    pulls: dict[int, FakePull] = field(default_factory=dict)
    writes: list[OpenPullRequest | UpdatePullRequest] = field(default_factory=list)

    def find(self, branch: str, base: str) -> PullRequest | None:
        if self.refusal is not None:
            raise self.refusal
        found = [
            self._current(pull)
            for _, pull in sorted(self.pulls.items(), reverse=True)
            if (pull.branch, pull.base, pull.fork) == (branch, base, False)
        ]
        still_open = [pull for pull in found if pull.state is PullRequestState.OPEN]
        return next(iter([*still_open, *found]), None)

    def open(self, action: OpenPullRequest) -> PullRequest:
        self._check_writable()
        found = self.find(action.branch, action.base)
        if found is not None and found.state is PullRequestState.OPEN:
            raise ConflictError(f"a pull request already exists for {action.branch}: {found.url}")
        for branch in (action.branch, action.base):
            if branch not in self.repository.branches:
                raise ConflictError(f"there is no branch {branch}")
        self.writes.append(action)
        return self._add(action, fork=False)

    def update(self, action: UpdatePullRequest) -> PullRequest:
        self._check_writable()
        pull = self._pull(action.number)
        self.writes.append(action)
        changed = replace(self._current(pull), title=action.title, body=action.body)
        self.pulls[action.number] = replace(pull, request=changed)
        return changed

    def open_from_fork(self, action: OpenPullRequest) -> PullRequest:
        """Open the pull request of a fork's branch that has the same name as one of ours."""
        return self._add(action, fork=True)

    def close(self, number: int) -> None:
        """Close a pull request as a person does, without merging it."""
        self._end(number, PullRequestState.CLOSED)

    def merge(self, number: int) -> None:
        """Merge a pull request as a person does: the base has the branch's files then."""
        pull = self._pull(number)
        repository = self.repository
        parents = [repository.branches[pull.base], repository.branches[pull.branch]]
        self._end(number, PullRequestState.MERGED)
        repository.commit(pull.base, repository.files_of(pull.branch), f"Merge #{number}", parents)

    def _add(self, action: OpenPullRequest, *, fork: bool) -> PullRequest:
        number = 1 + len(self.pulls)
        opened = PullRequest(
            number=number,
            url=f"https://github.example.com/acme/manifests/pull/{number}",
            state=PullRequestState.OPEN,
            title=action.title,
            body=action.body,
            head=self.repository.branches.get(action.branch, "f" * 40),
        )
        self.pulls[number] = FakePull(opened, action.branch, action.base, fork=fork)
        return opened

    def _end(self, number: int, state: PullRequestState) -> None:
        pull = self._pull(number)
        self.pulls[number] = replace(pull, request=replace(self._current(pull), state=state))

    def _current(self, pull: FakePull) -> PullRequest:
        """Return the pull request; an open one follows its branch."""
        head = self.repository.branches.get(pull.branch)
        if pull.request.state is not PullRequestState.OPEN or head is None or pull.fork:
            return pull.request
        return replace(pull.request, head=head)

    def _pull(self, number: int) -> FakePull:
        if number not in self.pulls:
            raise AuthenticationError(f"there is no pull request #{number}, or it is not for you")
        return self.pulls[number]

    def _check_writable(self) -> None:
        for error in (self.refusal, self.failure):
            if error is not None:
                raise error
