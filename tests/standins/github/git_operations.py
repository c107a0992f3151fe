"""The operations under `/git/`: references, commits, trees and blobs."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import TYPE_CHECKING

from tests.standins.github.model import Answer, Call, Json, Refusal, Repository, not_found, now
from tests.standins.github.store import GITLINK, TREE, ZERO, Entry, GitError, GitStore, Signature

if TYPE_CHECKING:
    from tests.standins.github.hub import Hub

OBJECT_NAME = re.compile(r"[0-9a-f]{40}")
FEWEST_SLASHES = 2


def filled(hub: Hub, call: Call) -> Repository:
    """Return the repository unless it is empty: then GitHub has no git database for it."""
    repository = hub.repository(call.parameters)
    if repository.store.is_empty():
        raise Refusal(409, "Git Repository is empty.")
    return repository


# References


def get_ref(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    name = f"refs/{call.parameters['ref']}"
    sha = repository.store.ref(name)
    if sha is None:
        raise not_found()
    return Answer(200, hub.bodies.ref(repository, name, sha))


def list_matching_refs(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    found = repository.store.refs(f"refs/{call.parameters['ref']}")
    return Answer(200, [hub.bodies.ref(repository, name, sha) for name, sha in found.items()])


def create_ref(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    store, name, sha = repository.store, call.body["ref"], call.body["sha"]
    if not name.startswith("refs/") or name.count("/") < FEWEST_SLASHES:
        raise Refusal(422, "Reference name must start with 'refs/' and contain at least 2 slashes")
    if not store.is_legal_ref(name):
        raise Refusal(422, f"{name} is not a valid ref name.")
    require_target(store, name, sha)
    if store.ref(name):
        raise Refusal(422, "Reference already exists")
    if not store.move_ref(name, sha, ZERO):
        # Such a reference is blocked by another whose name it would be a folder of, or in.
        raise Refusal(422, "Reference update failed")
    body = hub.bodies.ref(repository, name, sha)
    return Answer(201, body, {"Location": body["url"]})


def require_target(store: GitStore, name: str, sha: str) -> None:
    """Refuse what a reference of this name cannot point at."""
    if not OBJECT_NAME.fullmatch(sha):
        raise Refusal(
            422, "The sha parameter must be exactly 40 characters and contain only [0-9a-f]."
        )
    kind = store.type_of(sha)
    if kind is None:
        raise Refusal(422, "Object does not exist")
    if name.startswith("refs/heads/") and kind != "commit":
        raise Refusal(422, "Reference update failed")


def update_ref(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    store, name, sha = repository.store, f"refs/{call.parameters['ref']}", call.body["sha"]
    old = existing_ref(store, name)
    require_target(store, name, sha)
    if not call.body.get("force") and not store.is_ancestor(old, sha):
        raise Refusal(422, "Update is not a fast forward")
    if not store.move_ref(name, sha, old):
        raise Refusal(422, "Reference update failed")
    return Answer(200, hub.bodies.ref(repository, name, sha))


def delete_ref(hub: Hub, call: Call) -> Answer:
    store = filled(hub, call).store
    name = f"refs/{call.parameters['ref']}"
    if not store.delete_ref(name, existing_ref(store, name)):
        raise Refusal(422, "Reference update failed")
    return Answer(204)


def existing_ref(store: GitStore, name: str) -> str:
    sha = store.ref(name)
    if sha is None:
        raise Refusal(422, "Reference does not exist")
    return sha


# Commits


def get_commit(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    sha = call.parameters["commit_sha"]
    if not is_object(repository.store, sha, "commit"):
        raise not_found()
    return Answer(200, hub.bodies.git_commit(repository, repository.store.read_commit(sha)))


def is_object(store: GitStore, sha: str, kind: str) -> bool:
    return bool(OBJECT_NAME.fullmatch(sha)) and store.type_of(sha) == kind


def create_commit(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    store, parents = repository.store, call.body.get("parents", [])
    if not is_object(store, call.body["tree"], "tree"):
        raise Refusal(422, "Tree SHA does not exist")
    if not all(is_object(store, parent, "commit") for parent in parents):
        raise Refusal(422, "Parent SHA does not exist or is not a commit object")
    itself = Signature(call.user.login, call.user.email, now())
    author = person(call.body.get("author"), itself)
    committer = person(call.body.get("committer"), author)
    sha = store.write_commit(call.body["tree"], parents, author, committer, call.body["message"])
    body = hub.bodies.git_commit(repository, store.read_commit(sha))
    return Answer(201, body, {"Location": body["url"]})


def person(given: Json, usual: Signature) -> Signature:
    """Return who is named, as far as somebody is named; the date defaults to now."""
    if given is None:
        return usual
    date = now()
    if "date" in given:
        date = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", given["date"]))
    return Signature(given.get("name", usual.name), given.get("email", usual.email), date)


# Trees


def get_tree(hub: Hub, call: Call) -> Answer:
    """Answer with a tree; `recursive` counts whatever its value, as GitHub has it."""
    repository = filled(hub, call)
    sha = repository.store.resolve(call.parameters["tree_sha"], "tree")
    if sha is None:
        raise not_found()
    entries = repository.store.read_tree(sha, recursive="recursive" in call.query)
    return Answer(200, hub.bodies.tree(repository, sha, entries))


def create_tree(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    store, base = repository.store, call.body.get("base_tree")
    files: dict[str, Entry] = {}
    if base is not None:
        tree = store.resolve(base, "tree") if OBJECT_NAME.fullmatch(base) else None
        if tree is None:
            raise Refusal(422, "base_tree is not a valid tree oid")
        files = store.read_files(tree)
    for item in call.body["tree"]:
        change_files(store, files, item)
    try:
        sha = store.write_tree(files)
    except GitError as error:
        raise bad_object() from error
    body = hub.bodies.tree(repository, sha, store.read_tree(sha))
    return Answer(201, body, {"Location": body["url"]})


def bad_object() -> Refusal:
    return Refusal(422, "GitRPC::BadObjectState")


def change_files(store: GitStore, files: dict[str, Entry], item: Json) -> None:
    """Put one item of a new tree into the files; a null sha takes a file or a folder out."""
    path, mode = item.get("path", ""), item.get("mode", "100644")
    if any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        raise Refusal(422, "tree.path contains a malformed path component")
    if "content" in item and "sha" in item:
        raise Refusal(422, "Must supply either tree.sha or tree.content, not both.")
    if "content" not in item and "sha" not in item:
        raise Refusal(422, "Must supply either tree.sha or tree.content")
    gone = [name for name in files if name == path or name.startswith(f"{path}/")]
    if item.get("sha", path) is None:
        if not gone:
            raise bad_object()
        take_out(files, gone)
        return
    parents = path.split("/")[:-1]
    above = {"/".join(parents[: depth + 1]) for depth in range(len(parents))}
    take_out(files, [*gone, *(above & files.keys())])
    if "content" in item:
        files[path] = Entry(mode, store.write_blob(item["content"].encode()))
    elif mode == TREE:
        put_folder(store, files, path, item["sha"])
    elif mode == GITLINK or is_object(store, item["sha"], "blob"):
        files[path] = Entry(mode, item["sha"])
    else:
        raise bad_object()


def take_out(files: dict[str, Entry], paths: list[str]) -> None:
    for path in paths:
        del files[path]


def put_folder(store: GitStore, files: dict[str, Entry], path: str, sha: str) -> None:
    if not is_object(store, sha, "tree"):
        raise bad_object()
    files |= {f"{path}/{name}": entry for name, entry in store.read_files(sha).items()}


# Blobs


def get_blob(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    sha = call.parameters["file_sha"]
    if not is_object(repository.store, sha, "blob"):
        raise not_found()
    return Answer(200, hub.bodies.blob(repository, sha, repository.store.read_blob(sha)))


def create_blob(hub: Hub, call: Call) -> Answer:
    repository = filled(hub, call)
    content = call.body["content"].encode()
    if call.body.get("encoding") == "base64":
        content = decoded(content)
    sha = repository.store.write_blob(content)
    url = f"{hub.bodies.repository_url(repository)}/git/blobs/{sha}"
    return Answer(201, {"sha": sha, "url": url}, {"Location": url})


def decoded(content: bytes) -> bytes:
    try:
        return base64.b64decode(content)
    except binascii.Error as error:
        raise Refusal(422, "content is not valid Base64") from error


HANDLERS = {
    "git/create-blob": create_blob,
    "git/create-commit": create_commit,
    "git/create-ref": create_ref,
    "git/create-tree": create_tree,
    "git/delete-ref": delete_ref,
    "git/get-blob": get_blob,
    "git/get-commit": get_commit,
    "git/get-ref": get_ref,
    "git/get-tree": get_tree,
    "git/list-matching-refs": list_matching_refs,
    "git/update-ref": update_ref,
}
