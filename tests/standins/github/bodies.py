"""GitHub's JSON bodies of the things that the stand-in knows."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.standins.github.model import (
        Comment,
        Json,
        Label,
        PullRequest,
        Repository,
        User,
    )
    from tests.standins.github.store import Change, Commit, Entry, Signature

PREFIX = "/api/v3"

USER_LINKS = {
    "events_url": "/events{/privacy}",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "organizations_url": "/orgs",
    "received_events_url": "/received_events",
    "repos_url": "/repos",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "url": "",
}

REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
    "url": "",
}

REPOSITORY_COUNTS = (
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "watchers",
    "watchers_count",
)

USER_COUNTS = (
    "collaborators",
    "disk_usage",
    "followers",
    "following",
    "owned_private_repos",
    "private_gists",
    "public_gists",
    "public_repos",
    "total_private_repos",
)

STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied"}


def moment(value: datetime | None) -> str | None:
    """Return the time as GitHub writes it."""
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"


def node_id(*parts: object) -> str:
    return base64.b64encode(":".join(map(str, parts)).encode()).decode()


@dataclass(frozen=True)
class Bodies:
    """Makes bodies whose links lead back to the stand-in at this root URL."""

    root: str

    @property
    def api(self) -> str:
        return self.root + PREFIX

    def repository_url(self, repository: Repository) -> str:
        return f"{self.api}/repos/{repository.full_name}"

    def repository_page(self, repository: Repository) -> str:
        return f"{self.root}/{repository.full_name}"

    # People

    def user(self, user: User) -> Json:
        links = {name: f"{self.api}/users/{user.login}{end}" for name, end in USER_LINKS.items()}
        return links | {
            "avatar_url": f"{self.root}/avatars/u/{user.id}",
            "gravatar_id": "",
            "html_url": f"{self.root}/{user.login}",
            "id": user.id,
            "login": user.login,
            "node_id": node_id(user.type, user.id),
            "site_admin": False,
            "type": user.type,
        }

    def own_account(self, user: User, since: datetime) -> Json:
        unsaid = ("bio", "blog", "company", "email", "hireable", "location")
        return (
            self.user(user)
            | dict.fromkeys(unsaid)
            | dict.fromkeys(USER_COUNTS, 0)
            | {
                "created_at": moment(since),
                "name": user.login,
                "two_factor_authentication": True,
                "updated_at": moment(since),
                "user_view_type": "private",
            }
        )

    # Repositories

    def repository(self, repository: Repository) -> Json:
        url, page = self.repository_url(repository), self.repository_page(repository)
        links = {name: f"{url}{end}" for name, end in REPOSITORY_LINKS.items()}
        absent = dict.fromkeys(("description", "homepage", "language", "license", "mirror_url"))
        created = moment(repository.created_at)
        return (
            links
            | absent
            | dict.fromkeys(REPOSITORY_COUNTS, 0)
            | {
                "archived": False,
                "clone_url": f"{page}.git",
                "created_at": created,
                "default_branch": repository.store.default_branch(),
                "disabled": False,
                "fork": repository.parent is not None,
                "full_name": repository.full_name,
                "git_url": f"git:{page.partition(':')[2]}.git",
                "has_discussions": False,
                "has_downloads": True,
                "has_issues": True,
                "has_pages": False,
                "has_projects": True,
                "has_wiki": True,
                "html_url": page,
                "id": repository.id,
                "name": repository.name,
                "node_id": node_id("Repository", repository.id),
                "owner": self.user(repository.owner),
                "private": repository.private,
                "pushed_at": created,
                "ssh_url": f"git@github.invalid:{repository.full_name}.git",
                "svn_url": page,
                "updated_at": created,
                "visibility": "private" if repository.private else "public",
            }
        )

    def full_repository(self, repository: Repository, caller: User | None) -> Json:
        body = self.repository(repository) | {
            "allow_auto_merge": False,
            "allow_merge_commit": True,
            "allow_rebase_merge": False,
            "allow_squash_merge": True,
            "delete_branch_on_merge": False,
            "network_count": 0,
            "subscribers_count": 0,
        }
        if repository.parent:
            body["parent"] = body["source"] = self.repository(repository.parent)
        if caller:
            permission = caller.permissions.get(repository.full_name)
            body["permissions"] = {
                "admin": False,
                "maintain": False,
                "push": permission == "write",
                "triage": permission == "write",
                "pull": True,
            }
        return body

    def short_branch(self, repository: Repository, name: str, sha: str) -> Json:
        url = f"{self.repository_url(repository)}/commits/{sha}"
        return {"name": name, "commit": {"sha": sha, "url": url}, "protected": False}

    def branch(self, repository: Repository, name: str, commit: Commit) -> Json:
        url = f"{self.repository_url(repository)}/branches/{quote(name)}"
        page = f"{self.repository_page(repository)}/tree/{quote(name)}"
        return {
            "_links": {"html": page, "self": url},
            "commit": self.commit(repository, commit),
            "name": name,
            "protected": False,
            "protection": {
                "enabled": False,
                "required_status_checks": {
                    "checks": [],
                    "contexts": [],
                    "enforcement_level": "off",
                },
            },
            "protection_url": f"{url}/protection",
        }

    # Git objects

    def ref(self, repository: Repository, name: str, sha: str) -> Json:
        url = self.repository_url(repository)
        kind = repository.store.type_of(sha)
        return {
            "ref": name,
            "node_id": node_id("Ref", repository.id, name),
            "url": f"{url}/git/{quote(name)}",
            "object": {"sha": sha, "type": kind, "url": f"{url}/git/{kind}s/{sha}"},
        }

    def blob(self, repository: Repository, sha: str, content: bytes) -> Json:
        return {
            "content": base64.encodebytes(content).decode(),
            "encoding": "base64",
            "node_id": node_id("Blob", repository.id, sha),
            "sha": sha,
            "size": len(content),
            "url": f"{self.repository_url(repository)}/git/blobs/{sha}",
        }

    def tree(self, repository: Repository, sha: str, entries: dict[str, Entry]) -> Json:
        url = f"{self.repository_url(repository)}/git"
        listed = []
        for path, entry in entries.items():
            item: Json = {"path": path, "mode": entry.mode, "type": entry.type, "sha": entry.sha}
            if entry.size is not None:
                item["size"] = entry.size
            if entry.type != "commit":
                item["url"] = f"{url}/{entry.type}s/{entry.sha}"
            listed.append(item)
        return {"sha": sha, "url": f"{url}/trees/{sha}", "tree": listed, "truncated": False}

    def git_commit(self, repository: Repository, commit: Commit) -> Json:
        url, page = self.repository_url(repository), self.repository_page(repository)
        return {
            "author": signature(commit.author),
            "committer": signature(commit.committer),
            "html_url": f"{page}/commit/{commit.sha}",
            "message": commit.message,
            "node_id": node_id("Commit", repository.id, commit.sha),
            "parents": [
                {
                    "html_url": f"{page}/commit/{parent}",
                    "sha": parent,
                    "url": f"{url}/git/commits/{parent}",
                }
                for parent in commit.parents
            ],
            "sha": commit.sha,
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            "url": f"{url}/git/commits/{commit.sha}",
            "verification": unsigned(),
        }

    def commit(self, repository: Repository, commit: Commit) -> Json:
        """Return the commit as the rest of the API sees it; the people are not looked up."""
        url, page = self.repository_url(repository), self.repository_page(repository)
        return {
            "author": None,
            "comments_url": f"{url}/commits/{commit.sha}/comments",
            "commit": {
                "author": signature(commit.author),
                "comment_count": 0,
                "committer": signature(commit.committer),
                "message": commit.message,
                "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
                "url": f"{url}/git/commits/{commit.sha}",
                "verification": unsigned(),
            },
            "committer": None,
            "html_url": f"{page}/commit/{commit.sha}",
            "node_id": node_id("Commit", repository.id, commit.sha),
            "parents": [
                {
                    "html_url": f"{page}/commit/{parent}",
                    "sha": parent,
                    "url": f"{url}/commits/{parent}",
                }
                for parent in commit.parents
            ],
            "sha": commit.sha,
            "url": f"{url}/commits/{commit.sha}",
        }

    def file(self, repository: Repository, change: Change, sha: str) -> Json:
        url, page = self.repository_url(repository), self.repository_page(repository)
        path = quote(change.path)
        body = {
            "additions": change.additions,
            "blob_url": f"{page}/blob/{sha}/{path}",
            "changes": change.additions + change.deletions,
            "contents_url": f"{url}/contents/{path}?ref={sha}",
            "deletions": change.deletions,
            "filename": change.path,
            "raw_url": f"{page}/raw/{sha}/{path}",
            "sha": change.sha,
            "status": STATUSES.get(change.status, "changed"),
        }
        if change.previous_path:
            body["previous_filename"] = change.previous_path
        if change.patch:
            body["patch"] = change.patch
        return body

    # Pull requests and issues

    def simple_pull(self, repository: Repository, pull: PullRequest) -> Json:
        links = self._pull_links(repository, pull)
        return {
            "_links": {name: {"href": url} for name, url in links.items()},
            "active_lock_reason": None,
            "assignee": self.user(pull.assignees[0]) if pull.assignees else None,
            "assignees": [self.user(user) for user in pull.assignees],
            "author_association": association(repository, pull.user),
            "auto_merge": None,
            "base": self._side(repository, pull.base_ref, pull.base_sha),
            "body": pull.body,
            "closed_at": moment(pull.closed_at),
            "comments_url": links["comments"],
            "commits_url": links["commits"],
            "created_at": moment(pull.created_at),
            "diff_url": f"{links['html']}.diff",
            "draft": pull.draft,
            "head": self._side(pull.head_repository, pull.head_ref, pull.head_sha),
            "html_url": links["html"],
            "id": pull.id,
            "issue_url": links["issue"],
            "labels": [self.label(repository, label) for label in pull.labels],
            "locked": False,
            "merge_commit_sha": pull.merge_commit_sha,
            "merged_at": moment(pull.merged_at),
            "milestone": None,
            "node_id": node_id("PullRequest", pull.id),
            "number": pull.number,
            "patch_url": f"{links['html']}.patch",
            "requested_reviewers": [self.user(user) for user in pull.reviewers],
            "requested_teams": [],
            "review_comment_url": links["review_comment"],
            "review_comments_url": links["review_comments"],
            "state": pull.state,
            "statuses_url": links["statuses"],
            "title": pull.title,
            "updated_at": moment(pull.updated_at),
            "url": links["self"],
            "user": self.user(pull.user),
        }

    def pull(
        self,
        repository: Repository,
        pull: PullRequest,
        commits: Sequence[str],
        changes: Sequence[Change],
        *,
        mergeable: bool | None,
    ) -> Json:
        state = {True: "clean", False: "dirty", None: "unknown"}[mergeable]
        return self.simple_pull(repository, pull) | {
            "additions": sum(change.additions for change in changes),
            "changed_files": len(changes),
            "comments": len(pull.comments),
            "commits": len(commits),
            "deletions": sum(change.deletions for change in changes),
            "maintainer_can_modify": pull.maintainer_can_modify,
            "mergeable": mergeable,
            "mergeable_state": "draft" if pull.draft and mergeable else state,
            "merged": pull.merged_at is not None,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "rebaseable": mergeable,
            "review_comments": 0,
        }

    def _pull_links(self, repository: Repository, pull: PullRequest) -> dict[str, str]:
        url = self.repository_url(repository)
        own, issue = f"{url}/pulls/{pull.number}", f"{url}/issues/{pull.number}"
        return {
            "comments": f"{issue}/comments",
            "commits": f"{own}/commits",
            "html": f"{self.repository_page(repository)}/pull/{pull.number}",
            "issue": issue,
            "review_comment": f"{url}/pulls/comments{{/number}}",
            "review_comments": f"{own}/comments",
            "self": own,
            "statuses": f"{url}/statuses/{pull.head_sha}",
        }

    def _side(self, repository: Repository, ref: str, sha: str) -> Json:
        return {
            "label": f"{repository.owner.login}:{ref}",
            "ref": ref,
            "repo": self.repository(repository),
            "sha": sha,
            "user": self.user(repository.owner),
        }

    def issue(self, repository: Repository, pull: PullRequest) -> Json:
        """Return the pull request as the issue that it also is."""
        url = f"{self.repository_url(repository)}/issues/{pull.number}"
        body = self.simple_pull(repository, pull)
        shared = (
            *("assignee", "assignees", "author_association", "body", "closed_at", "created_at"),
            *("draft", "html_url", "id", "labels", "locked", "milestone", "node_id", "number"),
            *("state", "title", "updated_at", "user"),
        )
        return {name: body[name] for name in shared} | {
            "comments": len(pull.comments),
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "labels_url": f"{url}/labels{{/name}}",
            "pull_request": {
                name: body[name]
                for name in ("diff_url", "html_url", "merged_at", "patch_url", "url")
            },
            "repository_url": self.repository_url(repository),
            "url": url,
        }

    def label(self, repository: Repository, label: Label) -> Json:
        return {
            "color": label.color,
            "default": False,
            "description": label.description,
            "id": label.id,
            "name": label.name,
            "node_id": node_id("Label", label.id),
            "url": f"{self.repository_url(repository)}/labels/{quote(label.name, safe='')}",
        }

    def comment(self, repository: Repository, pull: PullRequest, comment: Comment) -> Json:
        url, page = self.repository_url(repository), self.repository_page(repository)
        return {
            "author_association": association(repository, comment.user),
            "body": comment.body,
            "created_at": moment(comment.created_at),
            "html_url": f"{page}/pull/{pull.number}#issuecomment-{comment.id}",
            "id": comment.id,
            "issue_url": f"{url}/issues/{pull.number}",
            "node_id": node_id("IssueComment", comment.id),
            "updated_at": moment(comment.created_at),
            "url": f"{url}/issues/comments/{comment.id}",
            "user": self.user(comment.user),
        }


def signature(value: Signature) -> Json:
    return {"name": value.name, "email": value.email, "date": moment(value.date)}


def unsigned() -> Json:
    nothing = dict.fromkeys(("payload", "signature", "verified_at"))
    return nothing | {"reason": "unsigned", "verified": False}


def association(repository: Repository, user: User) -> str:
    if user.login == repository.owner.login:
        return "OWNER"
    return "COLLABORATOR" if user.permissions.get(repository.full_name) == "write" else "NONE"
