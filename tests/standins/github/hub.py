"""GitHub without the network: who may call what, and the state that the calls change."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from tests.standins.github.bodies import Bodies
from tests.standins.github.model import (
    Answer,
    Call,
    Json,
    Permission,
    Refusal,
    Repository,
    User,
    not_found,
    now,
)
from tests.standins.github.store import GitStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.standins.github.validation import Match

Item = TypeVar("Item")
HOUR = 3600
ANONYMOUS_LIMIT = 60
LARGEST_PAGE, USUAL_PAGE = 100, 30


class Hub:
    """The users and repositories of one GitHub, and the order in which calls take effect."""

    def __init__(self, directory: Path, root: str, hourly_limit: int) -> None:
        self.directory = directory
        self.bodies = Bodies(root)
        # One call at a time: each takes effect whole. Pushes by plain git come in between.
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        self.users: dict[str, User] = {}
        self.started_at = now()
        self.archive_tokens: dict[str, str] = {}
        self._tokens: dict[str, User] = {}
        self._ids = itertools.count(1001)
        self._hourly_limit = hourly_limit
        self._used: Counter[User | None] = Counter()
        self._reset = int(time.time()) + HOUR

    def next_id(self) -> int:
        return next(self._ids)

    # Set up

    def add_repository(
        self, full_name: str, source: Path | None, *, private: bool, fork_of: str | None
    ) -> Repository:
        owner, name = full_name.split("/")
        parent = self.repositories[fork_of] if fork_of else None
        path = self.directory / owner / f"{name}.git"
        path.parent.mkdir(parents=True, exist_ok=True)
        store = GitStore.create(path, parent.store.path if parent else source)
        repository = Repository(
            id=self.next_id(),
            full_name=full_name,
            owner=self.user(owner),
            store=store,
            private=private,
            parent=parent,
            created_at=now(),
        )
        self.repositories[full_name] = repository
        return repository

    def add_user(
        self, login: str, token: str, permissions: Mapping[str, Permission | None]
    ) -> User:
        user = User(self.next_id(), login, dict(permissions))
        self.users[login] = self._tokens[token] = user
        return user

    def user(self, login: str) -> User:
        """Return the user of this name; an owner without a token is an organization."""
        return self.users.setdefault(login, User(self.next_id(), login, type="Organization"))

    # Who calls, and may they?

    def caller(self, authorization: str | None) -> User | None:
        if authorization is None:
            return None
        token = authorization.split(" ")[-1]
        if token not in self._tokens:
            raise Refusal(401, "Bad credentials")
        return self._tokens[token]

    def known(self, authorization: str | None) -> User | None:
        """Return the caller, and nobody where there is no such token."""
        try:
            return self.caller(authorization)
        except Refusal:
            return None

    def repository(self, parameters: Mapping[str, str]) -> Repository:
        """Return the repository that the path names; a caller has passed `authorise` before."""
        full_name = f"{parameters['owner']}/{parameters['repo']}"
        if full_name not in self.repositories:
            raise not_found()
        return self.repositories[full_name]

    def relative(self, repository: Repository, owner: str) -> Repository | None:
        """Return the owner's repository of the same network: itself, its parent or a fork."""
        for other in self.repositories.values():
            if other.network is repository.network and other.owner.login == owner:
                return other
        return None

    def authorise(self, match: Match, caller: User | None) -> None:
        """Refuse what GitHub refuses; a private repository does not exist for an outsider."""
        if "owner" not in match.parameters:
            return
        repository = self.repository(match.parameters)
        permission = caller.permissions.get(repository.full_name) if caller else None
        if repository.private and permission is None:
            raise not_found()
        if match.operation.writes and caller is None:
            raise Refusal(401, "Requires authentication")
        if match.operation.writes and permission != "write":
            raise Refusal(403, "Resource not accessible by personal access token")

    # How often?

    def rate(self, caller: User | None) -> dict[str, int]:
        limit = self._hourly_limit if caller else ANONYMOUS_LIMIT
        used = min(self._used[caller], limit)
        return {"limit": limit, "remaining": limit - used, "reset": self._reset, "used": used}

    def count(self, caller: User | None) -> None:
        """Count one call against the caller's hourly limit, which it may exhaust."""
        if self.rate(caller)["remaining"] == 0:
            whom = f"user ID {caller.id}" if caller else "127.0.0.1"
            raise Refusal(403, f"API rate limit exceeded for {whom}.")
        self._used[caller] += 1

    # Lists

    def page(self, call: Call, items: Sequence[Item], body: Callable[[Item], Json]) -> Answer:
        """Answer with the page asked for, and with links to the others."""
        size = min(int(call.query.get("per_page", USUAL_PAGE)), LARGEST_PAGE)
        number, last = int(call.query.get("page", 1)), max(1, -(-len(items) // size))
        shown = items[(number - 1) * size : number * size]
        neighbours = {
            "prev": number - 1 if number > 1 else None,
            "next": number + 1 if number < last else None,
            "last": last if number < last else None,
            "first": 1 if number > 1 else None,
        }
        links = [
            f'<{page_url(call, page)}>; rel="{relation}"'
            for relation, page in neighbours.items()
            if page is not None
        ]
        headers = {"Link": ", ".join(links)} if links else {}
        return Answer(200, [body(item) for item in shown], headers)


def page_url(call: Call, page: int) -> str:
    words = {**call.query, "page": str(page)}
    return f"{call.url}?{urlencode(words)}"
