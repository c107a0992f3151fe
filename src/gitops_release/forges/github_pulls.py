"""GitHub's pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.core.errors import ServiceError
from gitops_release.core.releasing import PullRequest, PullRequestState
from gitops_release.forges.github import checked_sha
from gitops_release.forges.github_errors import translated

if TYPE_CHECKING:
    from github.PullRequest import PullRequest as ApiPullRequest
    from github.Repository import Repository

    from gitops_release.core.releasing import OpenPullRequest, UpdatePullRequest


class GitHubPullRequests:
    """Finds, opens and updates the pull requests of a GitHub repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def find(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of a branch of this repository: an open one, else the newest."""
        name = self._repository.full_name
        owner = name.partition("/")[0]
        with translated(f"the pull requests of {name}"):
            listed = self._repository.get_pulls(
                state="all", head=f"{owner}:{branch}", base=base, sort="created", direction="desc"
            )
            # A fork may have a branch of the same name; GitHub ignores a filter it cannot read.
            ours = [
                pull
                for pull in listed
                if pull.head.ref == branch
                and pull.base.ref == base
                and _name_of(pull.head.repo) == name.lower()
            ]
            found = [_pull_request(pull) for pull in ours]
        still_open = [pull for pull in found if pull.state is PullRequestState.OPEN]
        return next(iter([*still_open, *found]), None)

    def open(self, action: OpenPullRequest) -> PullRequest:
        """Open a pull request and return it."""
        with translated(f"the pull request of {action.branch}"):
            return _pull_request(
                self._repository.create_pull(
                    base=action.base, head=action.branch, title=action.title, body=action.body
                )
            )

    def update(self, action: UpdatePullRequest) -> PullRequest:
        """Give a pull request its title and body and return it."""
        with translated(f"pull request #{action.number}"):
            pull = self._repository.get_pull(action.number)
            pull.edit(title=action.title, body=action.body)
            return _pull_request(pull)


def _name_of(repository: Repository | None) -> str:
    """Return a repository's name; a fork may be gone while its pull request is still there."""
    return "" if repository is None else repository.full_name.lower()


def _pull_request(pull: ApiPullRequest) -> PullRequest:
    if not isinstance(pull.html_url, str):
        raise ServiceError("expected a pull request from GitHub, found another answer")
    merged = pull.merged_at is not None
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        state=PullRequestState.MERGED if merged else PullRequestState(pull.state),
        title=pull.title,
        # What a person edited in the browser comes back with CRLF.
        body=(pull.body or "").replace("\r\n", "\n"),
        head=checked_sha(pull.head.sha),
    )
