"""Images copied between registries that are dictionaries; nothing leaves the process."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import BuildError, ImmutableTagError, ServiceError
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.registries.connection import Connection
from gitops_release.registries.copying import ImageCopier
from gitops_release.registries.oci import INDEX, MANIFEST, DistributionClient
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.unit.system.scripted import Answer, FakeTransport, Sent, http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.unit.system.scripted import Clock

FROM: Final = "from.example.com"
TO: Final = "to.example.com"
PASSWORDS: Final = {FROM: "password-there", TO: "password-here"}
SOURCE: Final = Repository(FROM, "team/app")
TARGET: Final = Repository(TO, "prod/app")
LAYER: Final = b"layer" * 100
CONFIG: Final = b'{"os":"linux","architecture":"amd64"}'


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, **others: object) -> dict[str, object]:
    return {"digest": sha(content), "size": len(content), **others}


def image(*layers: bytes, config: bytes = CONFIG) -> bytes:
    """Return a manifest, in bytes that no JSON encoder of ours would write."""
    document = {
        "mediaType": MANIFEST,
        "config": descriptor(config),
        "layers": [descriptor(layer) for layer in layers],
    }
    return json.dumps(document, indent=3).encode() + b"\n\n"


def index(*images: bytes) -> bytes:
    entries = [descriptor(each, mediaType=MANIFEST) for each in images]
    return json.dumps({"mediaType": INDEX, "manifests": entries}, indent=1).encode()


@dataclass
class Store:
    """One registry: what it holds, by repository, and how it behaves."""

    host: str
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    mounts: bool = True
    seen: list[tuple[str, str]] = field(default_factory=list)
    """What was asked for by somebody who was let in."""

    answers: dict[tuple[str, str], list[Answer | None]] = field(default_factory=dict)
    """What is answered first, by method and path; ``None`` is the truth."""

    def hold(self, repository: Repository, *blobs: bytes, **manifests: bytes) -> None:
        for blob in blobs:
            self.blobs[repository.path, sha(blob)] = blob
        for tag, manifest in manifests.items():
            for name in (tag, sha(manifest)):
                self.manifests[repository.path, name] = manifest

    def answer(self, sent: Sent) -> Answer:
        url = urlsplit(sent.url)
        pair = base64.b64encode(f"user:{PASSWORDS[self.host]}".encode()).decode()
        if sent.headers.get("Authorization") != f"Basic {pair}":
            return Answer(401, headers={"WWW-Authenticate": "Basic realm=r"})
        self.seen.append((sent.method, url.path))
        told = self.answers.get((sent.method, url.path))
        early = told.pop(0) if told else None
        if early is not None:
            return early
        path, _, name = url.path.removeprefix("/v2/").rpartition("/")
        if path.endswith("/manifests"):
            return self._manifest(sent, path.removesuffix("/manifests"), name)
        if path.endswith("/blobs/uploads"):
            repository = path.removesuffix("/blobs/uploads")
            return self._upload(sent, repository, parse_qs(url.query))
        return self._blob(path.removesuffix("/blobs"), name)

    def _manifest(self, sent: Sent, repository: str, name: str) -> Answer:
        if sent.method == "PUT":
            assert sent.body is not None
            self._check_parts(repository, sent.body)
            for key in (name, sha(sent.body)):
                self.manifests[repository, key] = sent.body
            return Answer(201)
        found = self.manifests.get((repository, name))
        if found is None:
            return Answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
        return Answer(200, found)

    def _check_parts(self, repository: str, manifest: bytes) -> None:
        """Take a manifest only after all that it lists, as registries do."""
        document = json.loads(manifest)
        for child in document.get("manifests", []):
            assert (repository, child["digest"]) in self.manifests
        for blob in [document.get("config"), *document.get("layers", [])]:
            assert blob is None or (repository, blob["digest"]) in self.blobs

    def _upload(self, sent: Sent, repository: str, query: Mapping[str, list[str]]) -> Answer:
        if sent.method == "DELETE":
            return Answer(204)
        if sent.method == "PUT":
            body: Any = sent.body
            content = b"".join(iter(lambda: body.read(16384), b""))
            (digest,) = query["digest"]
            if sha(content) != digest:
                return Answer(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
            self.blobs[repository, digest] = content
            return Answer(201)
        if self.mounts and "mount" in query:
            (digest,), (origin,) = query["mount"], query["from"]
            self.blobs[repository, digest] = self.blobs[origin, digest]
            return Answer(201)
        return Answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/7"})

    def _blob(self, repository: str, name: str) -> Answer:
        found = self.blobs.get((repository, name))
        if found is None:
            return Answer(404)
        return Answer(200, found, {"Content-Length": str(len(found))})


class World:
    """Two registries with a password each, and what copies between them."""

    def __init__(self) -> None:
        self.source, self.target = Store(FROM), Store(TO)
        self.announced: list[str] = []
        self.transport = FakeTransport(self._answer)
        self.copier = self._copier(FROM, TO)

    def _copier(self, *hosts: str) -> ImageCopier:
        retry = RetryPolicy(self.announced.append)
        connection = Connection(http_client(self.transport, retry), Redactor())
        clients = [
            DistributionClient(
                host,
                connection,
                lambda host=host: Credentials("user", Secret(PASSWORDS[host])),
            )
            for host in hosts
        ]
        return ImageCopier(clients[0], clients[-1], retry, self.announced.append)

    def _answer(self, sent: Sent) -> Answer:
        stores = {FROM: self.source, TO: self.target}
        return stores[urlsplit(sent.url).netloc].answer(sent)

    def copy(self, tag: str = "1", target: Repository = TARGET) -> None:
        copier = self.copier if target.host == TO else self._copier(FROM)
        copier.copy(ImageReference(SOURCE, tag), ImageReference(target, "9"))


@pytest.fixture
def world(clock: Clock) -> World:
    del clock
    return World()


def methods(store: Store) -> set[str]:
    return {method for method, _ in store.seen}


def test_the_target_gets_the_very_bytes(world: World) -> None:
    manifest = image(LAYER)
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": manifest})
    world.copy()
    assert world.target.manifests == {
        (TARGET.path, "9"): manifest,
        (TARGET.path, sha(manifest)): manifest,
    }
    assert set(world.target.blobs.values()) == {LAYER, CONFIG}
    assert methods(world.source) <= {"GET", "HEAD"}


def test_the_manifest_keeps_its_media_type(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.copy()
    (put,) = [s for s in world.transport.sent if s.method == "PUT" and "/manifests/" in s.url]
    assert put.headers["Content-Type"] == MANIFEST


def test_each_registry_sees_its_own_password(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.copy()
    for host, other in ((FROM, TO), (TO, FROM)):
        foreign = base64.b64encode(f"user:{PASSWORDS[other]}".encode()).decode()
        own = [sent for sent in world.transport.sent if urlsplit(sent.url).netloc == host]
        assert own
        assert not any(foreign in str(sent.headers) for sent in own)


def test_of_an_index_all_is_copied_children_first(world: World) -> None:
    """The store refuses a manifest before its parts, as registries do."""
    intel, arm, attestation = (
        image(layer, config=layer + b"!") for layer in (b"i" * 9, b"a" * 9, b"t" * 9)
    )
    blobs = [b"i" * 9, b"a" * 9, b"t" * 9, b"i" * 9 + b"!", b"a" * 9 + b"!", b"t" * 9 + b"!"]
    every = index(intel, arm, attestation)
    world.source.hold(SOURCE, *blobs, **{"1": every, "x": intel, "y": arm, "z": attestation})
    world.copy()
    assert world.target.manifests[TARGET.path, "9"] == every
    assert {sha(each) for each in (intel, arm, attestation, every)} | {"9"} == {
        name for _, name in world.target.manifests
    }
    assert sorted(world.target.blobs.values()) == sorted(blobs)


def test_an_index_of_indexes_is_copied_too(world: World) -> None:
    inner = index(image(LAYER))
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": index(inner), "x": inner, "y": image(LAYER)})
    world.copy()
    assert world.target.manifests[TARGET.path, "9"] == index(inner)


def test_what_is_there_is_not_sent_again(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.target.hold(TARGET, LAYER)
    world.copy()
    assert ("GET", f"/v2/{SOURCE.path}/blobs/{sha(LAYER)}") not in world.source.seen
    assert [line for line in world.announced if line.startswith("copying")] == [
        f"copying {Digest(sha(CONFIG)).short}, 0.0 MB"
    ]


def test_a_layer_that_two_platforms_share_is_sent_once(world: World) -> None:
    one, two = image(LAYER), image(LAYER, b"more")
    world.source.hold(SOURCE, LAYER, CONFIG, b"more", **{"1": index(one, two), "x": one, "y": two})
    world.copy()
    got = [path for method, path in world.source.seen if method == "GET" and "/blobs/" in path]
    assert len(got) == len(set(got)) == 3


def test_an_interrupted_copy_is_taken_up(world: World) -> None:
    world.source.hold(SOURCE, LAYER, b"two", CONFIG, **{"1": image(LAYER, b"two")})
    broken = f"/v2/{SOURCE.path}/blobs/{sha(b'two')}"
    world.source.answers["GET", broken] = [Answer(403)]
    with pytest.raises(ServiceError):
        world.copy()
    assert world.target.manifests == {}
    world.source.seen.clear()
    world.copy()
    assert [
        path for method, path in world.source.seen if method == "GET" and "/blobs/" in path
    ] == [broken]


# Inside one registry

SAME: Final = Repository(FROM, "prod/app")


def test_inside_one_registry_blobs_are_mounted(world: World) -> None:
    manifest = image(LAYER)
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": manifest})
    world.copy(target=SAME)
    assert world.source.manifests[SAME.path, "9"] == manifest
    assert world.source.blobs[SAME.path, sha(LAYER)] == LAYER
    assert not [seen for seen in world.source.seen if seen[0] == "GET" and "/blobs/" in seen[1]]
    assert not [seen for seen in world.source.seen if seen[0] == "PUT" and "/blobs/" in seen[1]]
    assert world.announced == []


def test_a_registry_that_mounts_nothing_is_sent_the_blobs(world: World) -> None:
    world.source.mounts = False
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.copy(target=SAME)
    assert world.source.manifests[SAME.path, "9"] == image(LAYER)
    assert world.source.blobs[SAME.path, sha(LAYER)] == LAYER


def test_between_registries_nothing_is_mounted(world: World) -> None:
    """A mount names a repository of the target: the same name may be another team's there."""
    world.target.hold(Repository(TO, SOURCE.path), LAYER, CONFIG)
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.copy()
    assert not any("mount=" in sent.url for sent in world.transport.sent)


def test_another_tag_in_the_same_repository_moves_no_blob(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.copy(target=SOURCE)
    assert world.source.manifests[SOURCE.path, "9"] == image(LAYER)
    assert "POST" not in methods(world.source)


# Failures

BLOB: Final = f"/v2/{SOURCE.path}/blobs/{sha(LAYER)}"


def test_a_connection_that_breaks_inside_a_blob_sends_the_whole_blob_again(
    world: World, clock: Clock
) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    half = Answer(200, LAYER[:250], {"Content-Length": str(len(LAYER))})
    world.source.answers["GET", BLOB] = [half, half]
    world.copy()
    assert world.target.blobs[TARGET.path, sha(LAYER)] == LAYER
    assert clock.slept == [2, 4]
    assert [line for line in world.announced if "trying again" in line]
    # Each attempt is an upload of its own: half of a blob is never continued.
    uploads = [seen for seen in world.target.seen if seen[0] == "POST"]
    assert len(uploads) == 4


def test_an_upload_that_fails_sends_the_whole_blob_again(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    upload = f"/v2/{TARGET.path}/blobs/uploads/7"
    world.target.answers["PUT", upload] = [Answer(500), Answer(503)]
    world.copy()
    assert world.target.manifests[TARGET.path, "9"] == image(LAYER)


def test_an_end_comes_to_every_patience(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.source.answers["GET", BLOB] = [Answer(500)] * 99
    with pytest.raises(ServiceError, match=r"copy the blob .* 500 .*tried 5 times"):
        world.copy()
    assert world.target.manifests == {}


def test_a_blob_that_changed_on_its_way_is_refused(world: World) -> None:
    other = LAYER[::-1]
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": image(LAYER)})
    world.source.blobs[SOURCE.path, sha(LAYER)] = other
    with pytest.raises(BuildError, match="DIGEST_INVALID"):
        world.copy()
    assert world.target.manifests == {}


@pytest.mark.parametrize("gone", ["image", "child", "layer"])
def test_what_is_not_in_the_source_is_not_in_the_target(world: World, gone: str) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": index(image(LAYER)), "x": image(LAYER)})
    {
        "image": lambda: world.source.manifests.pop((SOURCE.path, "1")),
        "child": lambda: world.source.manifests.pop((SOURCE.path, sha(image(LAYER)))),
        "layer": lambda: world.source.blobs.pop((SOURCE.path, sha(LAYER))),
    }[gone]()
    with pytest.raises(ServiceError):
        world.copy()
    assert (TARGET.path, "9") not in world.target.manifests


@pytest.mark.parametrize(
    "size",
    [None, "500", True, 500.0, -1, 10**30],
    ids=["none", "text", "true", "float", "-1", "huge"],
)
def test_a_layer_of_no_usable_size_is_the_source_s_fault(world: World, size: object) -> None:
    document = json.loads(image(LAYER))
    document["layers"][0]["size"] = size
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": json.dumps(document).encode()})
    with pytest.raises(ServiceError, match="expected the size"):
        world.copy()


@pytest.mark.parametrize("promised", [1, len(LAYER) - 1, len(LAYER) + 1])
def test_a_layer_of_another_size_than_promised_is_not_copied(world: World, promised: int) -> None:
    document = json.loads(image(LAYER))
    document["layers"][0]["size"] = promised
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": json.dumps(document).encode()})
    with pytest.raises(ServiceError, match=f"expected {promised} bytes"):
        world.copy()
    assert (TARGET.path, sha(LAYER)) not in world.target.blobs


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["layers"][0].pop("digest"),
        lambda document: document["layers"][0].update(digest="sha256:../../../etc/passwd"),
        lambda document: document["config"].update(digest=5),
    ],
)
def test_a_part_without_a_digest_is_the_source_s_fault(
    world: World, spoil: Callable[[dict[str, Any]], object]
) -> None:
    document = json.loads(image(LAYER))
    spoil(document)
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": json.dumps(document).encode()})
    with pytest.raises(ServiceError, match="sha256 digest"):
        world.copy()


def test_a_tag_that_may_not_move_is_told_as_such(world: World) -> None:
    manifest = image(LAYER)
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": manifest})
    refusal = b'{"errors": [{"code": "TAG_INVALID", "message": "the tag 9 is immutable"}]}'
    world.target.answers["PUT", f"/v2/{TARGET.path}/manifests/9"] = [Answer(400, refusal)]
    with pytest.raises(ImmutableTagError, match="immutable") as caught:
        world.copy()
    assert caught.value.built == Digest(sha(manifest))


def test_a_manifest_that_changed_on_its_way_is_not_passed_on(world: World) -> None:
    world.source.hold(SOURCE, LAYER, CONFIG, **{"1": index(image(LAYER)), "x": image(LAYER)})
    world.source.manifests[SOURCE.path, sha(image(LAYER))] = image(LAYER, LAYER)
    with pytest.raises(ServiceError, match="expected a manifest with the digest"):
        world.copy()
    assert world.target.manifests == {}
