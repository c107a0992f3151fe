"""The operations on repositories, and those on the caller's own account."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tests.standins.github.model import Answer, Call, Json, Refusal, Repository, not_found

if TYPE_CHECKING:
    from tests.standins.github.hub import Hub
    from tests.standins.github.store import Change

ARCHIVES = "/_codeload/"
MOST_FILES = 300


def get_repository(hub: Hub, call: Call) -> Answer:
    repository = hub.repository(call.parameters)
    return Answer(200, hub.bodies.full_repository(repository, call.caller))


def list_branches(hub: Hub, call: Call) -> Answer:
    repository = hub.repository(call.parameters)
    branches = [
        (name.removeprefix("refs/heads/"), sha)
        for name, sha in repository.store.refs("refs/heads/").items()
        if call.query.get("protected") != "true"
    ]
    return hub.page(call, branches, lambda branch: hub.bodies.short_branch(repository, *branch))


def get_branch(hub: Hub, call: Call) -> Answer:
    repository, name = hub.repository(call.parameters), call.parameters["branch"]
    sha = repository.store.branch(name)
    if sha is None:
        raise Refusal(404, "Branch not found")
    commit = repository.store.read_commit(sha)
    return Answer(200, hub.bodies.branch(repository, name, commit))


def get_commit(hub: Hub, call: Call) -> Answer:
    repository, revision = hub.repository(call.parameters), call.parameters["ref"]
    store = repository.store
    if store.is_empty():
        raise Refusal(409, "Git Repository is empty.")
    sha = store.resolve(revision)
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {revision}")
    commit = store.read_commit(sha)
    changes = store.changes(commit.parents[0], sha) if commit.parents else store.first_changes(sha)
    body = hub.bodies.commit(repository, commit)
    body["files"] = files(hub, repository, changes, sha)
    body["stats"] = statistics(changes)
    return Answer(200, body)


def files(hub: Hub, repository: Repository, changes: list[Change], sha: str) -> list[Json]:
    return [hub.bodies.file(repository, change, sha) for change in changes[:MOST_FILES]]


def statistics(changes: list[Change]) -> dict[str, int]:
    additions = sum(change.additions for change in changes)
    deletions = sum(change.deletions for change in changes)
    return {"additions": additions, "deletions": deletions, "total": additions + deletions}


def compare(hub: Hub, call: Call) -> Answer:
    """Answer with what head has that base has not; without a page, all of it."""
    repository = hub.repository(call.parameters)
    store = repository.store
    old, separator, new = call.parameters["basehead"].partition("...")
    base, head = compared(hub, repository, old), compared(hub, repository, new)
    merge_base = store.merge_base(base, head) if base and head and separator else None
    if base is None or head is None or merge_base is None:
        raise not_found()
    ahead = [store.read_commit(sha) for sha in store.commits_between(base, head)]
    behind = store.commits_between(head, base)
    listed = hub.page(call, ahead, lambda commit: hub.bodies.commit(repository, commit))
    page = f"{hub.bodies.repository_page(repository)}/compare/{quote(old)}...{quote(new)}"
    body = {
        "ahead_by": len(ahead),
        "base_commit": hub.bodies.commit(repository, store.read_commit(base)),
        "behind_by": len(behind),
        "commits": listed.body,
        "diff_url": f"{page}.diff",
        "files": files(hub, repository, store.changes(merge_base, head), head),
        "html_url": page,
        "merge_base_commit": hub.bodies.commit(repository, store.read_commit(merge_base)),
        "patch_url": f"{page}.patch",
        "permalink_url": f"{page}?permalink",
        "status": relation(len(ahead), len(behind)),
        "total_commits": len(ahead),
        "url": call.url,
    }
    return Answer(200, body, listed.headers)


def compared(hub: Hub, repository: Repository, revision: str) -> str | None:
    """Return the commit that one side names, which may be `owner:branch` of the same network."""
    owner, separator, name = revision.rpartition(":")
    if not separator:
        return repository.store.resolve(revision)
    other = hub.relative(repository, owner)
    sha = other.store.branch(name) if other else None
    if other and sha:
        repository.store.fetch(other.store, f"refs/heads/{name}", "")
    return sha


def relation(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    if ahead or behind:
        return "ahead" if ahead else "behind"
    return "identical"


def download_tarball(hub: Hub, call: Call) -> Answer:
    """Send the caller to another address, which for a private repository holds a secret."""
    repository, revision = hub.repository(call.parameters), call.parameters["ref"]
    path = f"{ARCHIVES}{repository.full_name}/legacy.tar.gz/{quote(revision)}"
    if repository.private:
        hub.archive_tokens[token := secrets.token_hex(16)] = repository.full_name
        path += f"?token={token}"
    return Answer(302, None, {"Location": hub.bodies.root + path})


def archive(hub: Hub, path: str, token: str | None) -> Answer:
    """Answer with the archive at an address that `download_tarball` gave away."""
    owner, name, _format, revision = path.removeprefix(ARCHIVES).split("/", 3)
    repository = hub.repository({"owner": owner, "repo": name})
    if repository.private and hub.archive_tokens.get(token or "") != repository.full_name:
        raise not_found()
    sha = repository.store.resolve(unquote(revision))
    if sha is None:
        raise not_found()
    content = repository.store.archive(sha, f"{owner}-{name}-{sha[:7]}")
    return Answer(200, content, {"Content-Type": "application/x-gzip"})


def get_rate_limit(hub: Hub, call: Call) -> Answer:
    rate = hub.rate(call.caller)
    return Answer(200, {"rate": rate, "resources": {"core": rate, "search": rate}})


def get_user(hub: Hub, call: Call) -> Answer:
    return Answer(200, hub.bodies.own_account(call.user, hub.started_at))


HANDLERS = {
    "rate-limit/get": get_rate_limit,
    "repos/compare-commits-with-basehead": compare,
    "repos/download-tarball-archive": download_tarball,
    "repos/get": get_repository,
    "repos/get-branch": get_branch,
    "repos/get-commit": get_commit,
    "repos/list-branches": list_branches,
    "users/get-authenticated": get_user,
}
