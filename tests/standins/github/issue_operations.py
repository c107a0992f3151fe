"""The operations on pull requests as issues: comments, labels, assignees."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tests.standins.github.model import (
    Answer,
    Call,
    Comment,
    Json,
    Label,
    PullRequest,
    Repository,
    invalid,
    not_found,
    now,
)
from tests.standins.github.pull_operations import change, find_pull

if TYPE_CHECKING:
    from tests.standins.github.hub import Hub

GREY = "ededed"


def update_issue(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    asked = call.body or {}
    words = {name: asked[name] for name in ("title", "body", "state") if name in asked}
    change(repository, pull, words)
    if "labels" in asked:
        pull.labels.clear()
        put_labels(hub, repository, pull, asked["labels"])
    if "assignees" in asked:
        pull.assignees.clear()
        put_assignees(hub, repository, pull, asked["assignees"])
    return Answer(200, hub.bodies.issue(repository, pull))


# Comments


def create_comment(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    if not call.body["body"].strip():
        raise invalid("IssueComment", "body", "missing_field")
    comment = Comment(hub.next_id(), call.user, call.body["body"], now())
    pull.comments.append(comment)
    pull.updated_at = comment.created_at
    body = hub.bodies.comment(repository, pull, comment)
    return Answer(201, body, {"Location": body["url"]})


def list_comments(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    since = call.query.get("since", "1970-01-01T00:00:00Z").replace("Z", "+00:00")
    moment = datetime.fromisoformat(since)
    comments = [comment for comment in pull.comments if comment.created_at >= moment]
    return hub.page(call, comments, lambda comment: hub.bodies.comment(repository, pull, comment))


# Labels


def get_label(hub: Hub, call: Call) -> Answer:
    repository = hub.repository(call.parameters)
    label = repository.labels.get(call.parameters["name"].lower())
    if label is None:
        raise not_found()
    return Answer(200, hub.bodies.label(repository, label))


def create_label(hub: Hub, call: Call) -> Answer:
    repository, asked = hub.repository(call.parameters), call.body
    if asked["name"].lower() in repository.labels:
        raise invalid("Label", "name", "already_exists")
    label = Label(hub.next_id(), asked["name"], asked.get("color", GREY), asked.get("description"))
    repository.labels[label.name.lower()] = label
    body = hub.bodies.label(repository, label)
    return Answer(201, body, {"Location": body["url"]})


def list_labels(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    return hub.page(call, pull.labels, lambda label: hub.bodies.label(repository, label))


def add_labels(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    asked = call.body or []
    put_labels(hub, repository, pull, asked if isinstance(asked, list) else asked["labels"])
    return Answer(200, [hub.bodies.label(repository, label) for label in pull.labels])


def put_labels(hub: Hub, repository: Repository, pull: PullRequest, asked: list[Json]) -> None:
    """Put labels on a pull request; one that the repository has not yet comes into being."""
    for item in asked:
        name = item if isinstance(item, str) else item["name"]
        new = Label(hub.next_id(), name, GREY, None)
        label = repository.labels.setdefault(name.lower(), new)
        if label not in pull.labels:
            pull.labels.append(label)


# Assignees


def add_assignees(hub: Hub, call: Call) -> Answer:
    repository, pull = find_pull(hub, call)
    put_assignees(hub, repository, pull, (call.body or {}).get("assignees", []))
    return Answer(201, hub.bodies.issue(repository, pull))


def put_assignees(hub: Hub, repository: Repository, pull: PullRequest, asked: list[Json]) -> None:
    """Assign who may be assigned; GitHub passes over the others in silence."""
    for item in asked:
        user = hub.users.get(item if isinstance(item, str) else item["login"])
        if user and user.permissions.get(repository.full_name) and user not in pull.assignees:
            pull.assignees.append(user)


HANDLERS = {
    "issues/add-assignees": add_assignees,
    "issues/add-labels": add_labels,
    "issues/create-comment": create_comment,
    "issues/create-label": create_label,
    "issues/get-label": get_label,
    "issues/list-comments": list_comments,
    "issues/list-labels-on-issue": list_labels,
    "issues/update": update_issue,
}
