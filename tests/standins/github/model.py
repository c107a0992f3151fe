"""What the stand-in knows besides git: people, repositories, pull requests, and their words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.github.store import GitStore

Json: TypeAlias = Any  # What a JSON document holds; GitHub's description says what exactly.
Permission: TypeAlias = Literal["write", "read"]


def now() -> datetime:
    """Return the time as GitHub tells it: UTC, whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)


@dataclass(frozen=True)
class User:
    """Somebody with a token, and what the token may do where."""

    id: int
    login: str
    permissions: Mapping[str, Permission | None] = field(default_factory=dict, hash=False)
    type: Literal["User", "Organization"] = "User"

    @property
    def email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(frozen=True)
class Label:
    id: int
    name: str
    color: str
    description: str | None


@dataclass(frozen=True)
class Comment:
    id: int
    user: User
    body: str
    created_at: datetime


@dataclass
class PullRequest:
    """A pull request as of the last look at its branches."""

    id: int
    number: int
    user: User
    title: str
    body: str | None
    head_repository: Repository
    head_ref: str
    base_ref: str
    head_sha: str
    base_sha: str
    draft: bool
    maintainer_can_modify: bool
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    labels: list[Label] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    reviewers: list[User] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)

    @property
    def state(self) -> Literal["open", "closed"]:
        return "closed" if self.closed_at else "open"

    @property
    def head_label(self) -> str:
        return f"{self.head_repository.owner.login}:{self.head_ref}"

    def close(self) -> None:
        self.closed_at = self.updated_at = now()

    def reopen(self) -> None:
        self.closed_at, self.updated_at = None, now()


@dataclass
class Repository:
    """A repository: its git side and all that GitHub keeps beside it."""

    id: int
    full_name: str
    owner: User
    store: GitStore
    private: bool
    parent: Repository | None
    created_at: datetime
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]

    @property
    def network(self) -> Repository:
        """The repository that this one was forked from, or itself."""
        return self.parent or self


@dataclass(frozen=True)
class Call:
    """One request whose sender is known and which the sender may make."""

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    url: str
    caller: User | None

    @property
    def user(self) -> User:
        """The caller of an operation that nobody may call anonymously."""
        if self.caller is None:
            raise Refusal(401, "Requires authentication")
        return self.caller


@dataclass(frozen=True)
class Answer:
    """What goes back: a JSON body, or bytes for an archive, or nothing."""

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - it is an answer as good as any
    """An answer that refuses what was asked."""

    def __init__(self, status: int, message: str, *errors: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors

    def answer(self) -> Answer:
        body: dict[str, Json] = {
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(self.status),
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return Answer(self.status, body)


def not_found() -> Refusal:
    return Refusal(404, "Not Found")


def invalid(resource: str, field: str, code: str = "invalid") -> Refusal:
    """Return the refusal of one field's value."""
    return Refusal(422, "Validation Failed", {"resource": resource, "field": field, "code": code})


def refused(resource: str, message: str) -> Refusal:
    """Return the refusal that explains itself in words."""
    return Refusal(
        422, "Validation Failed", {"resource": resource, "code": "custom", "message": message}
    )
