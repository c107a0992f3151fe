"""The operations on pull requests, whose heads are wherever their branches are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standins.github.model import (
    Answer,
    Call,
    Json,
    PullRequest,
    Refusal,
    Repository,
    invalid,
    not_found,
    now,
    refused,
)
from tests.standins.github.store import Signature

if TYPE_CHECKING:
    from tests.standins.github.hub import Hub
    from tests.standins.github.model import User


# The branches move on their own: by the API, by plain git, by a merge.


def look_at_branches(repository: Repository) -> None:
    """Let every open pull request follow its branches, as GitHub does after each push."""
    for pull in repository.pulls.values():
        if pull.state == "open":
            follow(repository, pull)


def follow(repository: Repository, pull: PullRequest) -> None:
    base = repository.store.branch(pull.base_ref)
    head = pull.head_repository.store.branch(pull.head_ref)
    if base is None or head is None:
        pull.close()
    elif repository.store.is_ancestor(pull.head_sha, base):
        mark_merged(pull, base, None)  # somebody has pushed these commits to the base
    elif head != pull.head_sha:
        take_head(repository, pull, base, head)
        if repository.store.is_ancestor(head, base):
            pull.close()  # the branch was reset: there is nothing left to merge


def take_head(repository: Repository, pull: PullRequest, base: str, head: str) -> None:
    """Remember where the branches are, and keep the head's commits in this repository."""
    kept = f"refs/pull/{pull.number}/head"
    repository.store.fetch(pull.head_repository.store, f"refs/heads/{pull.head_ref}", kept)
    pull.head_sha, pull.base_sha, pull.updated_at = head, base, now()


def mark_merged(pull: PullRequest, commit: str, by: User | None) -> None:
    pull.close()
    pull.merged_at, pull.merge_commit_sha = pull.closed_at, commit
    pull.merged_by = by or pull.user


def find_pull(hub: Hub, call: Call) -> tuple[Repository, PullRequest]:
    """Return the pull request that the path names, by either of its two names for the number."""
    repository = hub.repository(call.parameters)
    look_at_branches(repository)
    number = call.parameters.get("pull_number") or call.parameters["issue_number"]
    pull = repository.pulls.get(int(number)) if number.isdecimal() else None
    if pull is None:
        raise not_found()
    return repository, pull


def full_body(hub: Hub, repository: Repository, pull: PullRequest) -> Json:
    store = repository.store
    fork_point = store.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return hub.bodies.pull(
        repository,
        pull,
        store.commits_between(pull.base_sha, pull.head_sha),
        store.changes(fork_point, pull.head_sha),
        mergeable=merged_tree(repository, pull) is not None if pull.state == "open" else None,
    )


def merged_tree(repository: Repository, pull: PullRequest) -> str | None:
    base = repository.store.branch(pull.base_ref)
    return repository.store.merged_tree(base, pull.head_sha) if base else None


# Reading


def list_pulls(hub: Hub, call: Call) -> Answer:
    repository = hub.repository(call.parameters)
    look_at_branches(repository)
    state, head, base = (call.query.get(name) for name in ("state", "head", "base"))
    found = [
        pull
        for pull in repository.pulls.values()
        if (state or "open") in {"all", pull.state}
        and base in {None, "", pull.base_ref}
        # A head without an owner is no filter, a trap for clients that GitHub really has.
        and (head is None or ":" not in head or head == pull.head_label)
    ]
    return hub.page(
        call, in_order(call, found), lambda pull: hub.bodies.simple_pull(repository, pull)
    )


def in_order(call: Call, pulls: list[PullRequest]) -> list[PullRequest]:
    """Return the pull requests as asked for; newest first unless something else is."""
    sort = call.query.get("sort", "created")
    direction = call.query.get("direction", "desc" if sort == "created" else "asc")
    by_update = sort == "updated"
    return sorted(
        pulls,
        key=lambda pull: (pull.updated_at if by_update else pull.created_at, pull.number),
        reverse=direction == "desc",
    )


def get_pull(hub: Hub, call: Call) -> Answer:
    return Answer(200, full_body(hub, *find_pull(hub, call)))


def list_commits(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    store = repository.store
    commits = store.commits_between(pull.base_sha, pull.head_sha)
    return hub.page(
        call, commits, lambda sha: hub.bodies.commit(repository, store.read_commit(sha))
    )


def list_files(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    fork_point = repository.store.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes = repository.store.changes(fork_point, pull.head_sha)
    return hub.page(
        call, changes, lambda change: hub.bodies.file(repository, change, pull.head_sha)
    )


# Writing


def create_pull(hub: Hub, call: Call) -> Answer:
    repository, asked = hub.repository(call.parameters), call.body
    look_at_branches(repository)
    if not asked.get("title"):
        raise invalid("PullRequest", "title", "missing_field")
    base = repository.store.branch(asked["base"])
    source, branch = head_of(hub, repository, asked)
    head = source.store.branch(branch) if source else None
    if base is None or source is None or head is None:
        raise invalid("PullRequest", "base" if base is None else "head")
    number = len(repository.pulls) + 1
    pull = PullRequest(
        id=hub.next_id(),
        number=number,
        user=call.user,
        title=asked["title"],
        body=asked.get("body"),
        head_repository=source,
        head_ref=branch,
        base_ref=asked["base"],
        head_sha=head,
        base_sha=base,
        draft=asked.get("draft", False),
        maintainer_can_modify=asked.get("maintainer_can_modify", False),
        created_at=now(),
        updated_at=now(),
    )
    require_novelty(repository, pull)
    take_head(repository, pull, base, head)
    require_commits(repository, pull)
    repository.pulls[number] = pull
    body = full_body(hub, repository, pull)
    return Answer(201, body, {"Location": body["url"]})


def head_of(hub: Hub, repository: Repository, asked: Json) -> tuple[Repository | None, str]:
    """Return the repository and the branch that a new pull request comes from."""
    owner, separator, branch = asked["head"].rpartition(":")
    if "head_repo" in asked:
        return hub.repositories.get(asked["head_repo"]), branch
    return (hub.relative(repository, owner) if separator else repository), branch


def require_novelty(repository: Repository, pull: PullRequest) -> None:
    """Refuse a second open pull request from the same branch to the same base."""
    for other in repository.pulls.values():
        if (
            other is not pull
            and other.state == "open"
            and other.head_repository is pull.head_repository
            and (other.head_ref, other.base_ref) == (pull.head_ref, pull.base_ref)
        ):
            raise refused("PullRequest", f"A pull request already exists for {pull.head_label}.")


def require_commits(repository: Repository, pull: PullRequest) -> None:
    store, same = repository.store, pull.head_repository is repository
    base = pull.base_ref if same else f"{repository.owner.login}:{pull.base_ref}"
    head = pull.head_ref if same else pull.head_label
    if store.merge_base(pull.base_sha, pull.head_sha) is None:
        raise refused("PullRequest", f"The {head} branch has no history in common with {base}")
    if not store.commits_between(pull.base_sha, pull.head_sha):
        raise refused("PullRequest", f"No commits between {base} and {head}")


def update_pull(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    change(repository, pull, call.body or {})
    return Answer(200, full_body(hub, repository, pull))


def change(repository: Repository, pull: PullRequest, asked: Json) -> None:
    """Change what is asked for; a pull request is reopened only where it could be opened."""
    base = repository.store.branch(asked.get("base", pull.base_ref))
    if "base" in asked and base is None:
        raise invalid("PullRequest", "base")
    if asked.get("state") == "open" and pull.state == "closed":
        reopen(repository, pull)
    elif asked.get("state") == "closed" and pull.state == "open":
        pull.close()
    for name in ("title", "body", "maintainer_can_modify"):
        if name in asked:
            setattr(pull, name, asked[name])
    if "base" in asked:
        pull.base_ref, pull.base_sha = asked["base"], base
    pull.updated_at = now()


def reopen(repository: Repository, pull: PullRequest) -> None:
    if pull.merged_at:
        raise invalid("PullRequest", "state")
    base = repository.store.branch(pull.base_ref)
    head = pull.head_repository.store.branch(pull.head_ref)
    if base is None or head is None:
        words = f"state cannot be changed. The {pull.head_ref} branch has been deleted."
        raise refused("PullRequest", words)
    require_novelty(repository, pull)
    take_head(repository, pull, base, head)
    pull.reopen()


def request_reviewers(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    for login in (call.body or {}).get("reviewers", []):
        user = hub.users.get(login)
        if user is None or not user.permissions.get(repository.full_name):
            raise Refusal(
                422,
                "Reviews may only be requested from collaborators. "
                "One or more of the users or teams you specified is not a collaborator "
                f"of the {repository.full_name} repository.",
            )
        if user == pull.user:
            raise Refusal(422, "Review cannot be requested from pull request author.")
        if user not in pull.reviewers:
            pull.reviewers.append(user)
    return Answer(201, hub.bodies.simple_pull(repository, pull))


# Merging


def merge(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    asked = call.body or {}
    tree = merged_tree(repository, pull) if pull.state == "open" else None
    if asked.get("sha", pull.head_sha) != pull.head_sha:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    if pull.draft:
        raise Refusal(405, "Pull Request is still a draft")
    if tree is None:
        raise Refusal(405, "Pull Request is not mergeable")
    base = repository.store.branch(pull.base_ref) or pull.base_sha
    sha = merge_commit(repository, pull, call, tree, base)
    if not repository.store.move_ref(f"refs/heads/{pull.base_ref}", sha, base):
        raise Refusal(405, "Base branch was modified. Review and try the merge again.")
    mark_merged(pull, sha, call.user)
    body = {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
    return Answer(200, body)


def merge_commit(
    repository: Repository, pull: PullRequest, call: Call, tree: str, base: str
) -> str:
    """Write the commit of a merge or of a squash; rebasing is switched off in the repository."""
    asked = call.body or {}
    method = asked.get("merge_method", "merge")
    if method == "rebase":
        raise Refusal(405, "Rebase merges are not allowed on this repository.")
    squash = method == "squash"
    source = f"{pull.head_repository.owner.login}/{pull.head_ref}"
    usual = (
        (f"{pull.title} (#{pull.number})", "")
        if squash
        else (f"Merge pull request #{pull.number} from {source}", pull.title)
    )
    title, text = asked.get("commit_title", usual[0]), asked.get("commit_message", usual[1])
    author = Signature(call.user.login, call.user.email, now())
    committer = Signature("GitHub", "noreply@github.com", now())
    message = f"{title}\n\n{text}" if text else title
    parents = [base] if squash else [base, pull.head_sha]
    return repository.store.write_commit(tree, parents, author, committer, message)


HANDLERS = {
    "pulls/create": create_pull,
    "pulls/get": get_pull,
    "pulls/list": list_pulls,
    "pulls/list-commits": list_commits,
    "pulls/list-files": list_files,
    "pulls/merge": merge,
    "pulls/request-reviewers": request_reviewers,
    "pulls/update": update_pull,
}
