"""``promote-image`` as a user runs it, between real registries with a password each."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

import pytest
import requests

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.image import Repository
from tests.contract.oci_push import CONFIG, INDEX, LAYER, MANIFEST, OciPush
from tests.integration.program import Ended, Program, ended, forms, watched_command_lines
from tests.standins.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PLATFORMS: Final = ("linux/amd64", "linux/arm64")
BIG: Final = 60_000_000  # bytes
SPARE: Final = 16_000_000  # bytes that copying may take, whatever the size of the layers
PEAK: Final = """\
import resource, subprocess, sys
code = subprocess.call([sys.executable, "-m", "gitops_release", *sys.argv[1:]])
print("peak:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(code)
"""
AUDITED: Final = """\
import os, runpy, sys
def hook(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        os.write(2, f"opened for writing: {arguments[0]}\\n".encode())
sys.addaudithook(hook)
sys.argv[0] = "gitops-release"
runpy.run_module("gitops_release", run_name="__main__")
"""


@dataclass(frozen=True)
class Request:
    """What a registry was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    size: int


@dataclass
class Recorder:
    """A registry's address that keeps what it is sent, and passes it on."""

    behind: str
    host: str = ""
    requests: list[Request] = field(default_factory=list)

    @classmethod
    @contextmanager
    def before(cls, registry: Registry) -> Iterator[Recorder]:
        recorder = cls(registry.host)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                recorder.pass_on(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        recorder.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        self.requests.append(
            Request(handler.command, handler.path, dict(handler.headers.items()), length)
        )
        body = handler.rfile.read(length)
        connection = http.client.HTTPConnection(self.behind, timeout=60)
        connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
        answer = connection.getresponse()
        handler.send_response_only(answer.status)
        content = answer.read()
        for name, value in answer.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                handler.send_header(name, value)
        told = answer.getheader("Content-Length") if handler.command == "HEAD" else None
        handler.send_header("Content-Length", told or str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        connection.close()

    def of(self, method: str, part: str = "/v2/") -> list[Request]:
        return [sent for sent in self.requests if sent.method == method and part in sent.path]


@dataclass(frozen=True)
class World:
    """An image in one registry, and another registry that should have it."""

    program: Program
    source: Repository
    target: Repository
    source_login: Credentials
    target_login: Credentials

    @property
    def variables(self) -> dict[str, str]:
        return {
            "DOCKER_LOGIN": self.target_login.username,
            "DOCKER_PASSWORD": self.target_login.password.reveal(),
            "FROM_LOGIN": self.source_login.username,
            "FROM_PASSWORD": self.source_login.password.reveal(),
        }

    def arguments(self, *arguments: str | Path) -> tuple[str | Path, ...]:
        source = (
            ("--source-username-env", "FROM_LOGIN", "--source-password-env", "FROM_PASSWORD")
            if self.source.host != self.target.host
            else ()
        )
        images = ("--source", f"{self.source}:1.0", "--target", f"{self.target}:stable")
        return ("promote-image", *images, *source, *arguments)

    def start(self, *arguments: str | Path, **variables: str | None) -> subprocess.Popen[str]:
        program = self.program.with_variables(**{**self.variables, **variables})
        return program.start(*self.arguments(*arguments))

    def promote(self, *arguments: str | Path, **variables: str | None) -> Ended:
        return ended(self.start(*arguments, **variables))

    def push(self, *platforms: str) -> str:
        """Push the image to promote; return its digest."""
        labels = {
            "org.opencontainers.image.source": "https://github.com/acme/app",
            "org.opencontainers.image.revision": "a" * 40,
            "unique": str(self.source),
        }
        pushed = OciPush(self.source, self.source_login).image(["1.0"], labels, platforms)
        return str(pushed.digest)

    def ask(self, repository: Repository, path: str) -> requests.Response:
        login = self.source_login if repository.host == self.source.host else self.target_login
        return requests.get(
            f"http://{repository.host}/v2/{repository.path}/{path}",
            headers={"Accept": f"{INDEX}, {MANIFEST}"},
            auth=(login.username, login.password.reveal()),
            timeout=30,
        )

    def holding(self, repository: Repository, name: str) -> dict[str, bytes]:
        """Return the manifest of that name and all that it leads to, as the registry gives it."""
        answer = self.ask(repository, f"manifests/{name}")
        answer.raise_for_status()
        found = {str(answer.headers["Docker-Content-Digest"]): answer.content}
        document = answer.json()
        for child in document.get("manifests", []):
            found |= self.holding(repository, child["digest"])
        for blob in [
            *document.get("layers", []),
            *([document["config"]] if "config" in document else []),
        ]:
            content = self.ask(repository, f"blobs/{blob['digest']}")
            content.raise_for_status()
            found[blob["digest"]] = content.content
        return found


@pytest.fixture(scope="module")
def other_login() -> Credentials:
    return Credentials("cd", Secret("an0ther/canary+of=ours"))


@pytest.fixture(scope="module")
def other_registry(
    tmp_path_factory: pytest.TempPathFactory, other_login: Credentials
) -> Iterator[Registry]:
    users = {other_login.username: other_login.password.reveal()}
    with Registry.running(tmp_path_factory.mktemp("other"), users=users) as running:
        yield running


@pytest.fixture
def recorded_source(registry: Registry) -> Iterator[Recorder]:
    with Recorder.before(registry) as recorder:
        yield recorder


@pytest.fixture
def recorded_target(other_registry: Registry) -> Iterator[Recorder]:
    with Recorder.before(other_registry) as recorder:
        yield recorder


@pytest.fixture
def world(
    tmp_path: Path,
    recorded_source: Recorder,
    recorded_target: Recorder,
    login: Credentials,
    other_login: Credentials,
) -> World:
    return World(
        Program.at_home(tmp_path, tmp_path),
        Repository(recorded_source.host, f"team/{uuid.uuid4().hex}"),
        Repository(recorded_target.host, f"prod/{uuid.uuid4().hex}"),
        login,
        other_login,
    )


@pytest.fixture
def inside(world: World) -> World:
    """Return the same inside one registry."""
    target = Repository(world.source.host, world.target.path)
    return replace(world, target=target, target_login=world.source_login)


@pytest.fixture(scope="module", autouse=True)
def without_registry(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, login: Credentials
) -> Iterator[Mapping[str, subprocess.Popen[str]]]:
    """Start what waits for a registry that is down: it takes half a minute, beside the others."""
    root = tmp_path_factory.mktemp("down")
    down, up = Repository("127.0.0.1:1", "team/app"), Repository(registry.host, "team/half-down")
    there = World(Program.at_home(root, root), up, down, login, login)
    there.push("linux/amd64")
    back = replace(there, source=down, target=up)
    started = {
        "target": there.start(),
        "source": back.start(),
        "dry run": there.start("--dry-run"),
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def test_an_image_is_the_very_same_in_the_other_registry(world: World, tmp_path: Path) -> None:
    digest = world.push("linux/amd64")
    output = tmp_path / "images" / "app.json"

    run = world.promote("--output", output)

    assert run.result == f"{world.target}:stable@{digest}"
    assert world.holding(world.target, "stable") == world.holding(world.source, "1.0")
    (image,) = json.loads(output.read_text())["images"]
    assert image == {
        "repository": str(world.target),
        "tags": ["stable"],
        "digest": digest,
        "reference": run.result,
        "platforms": ["linux/amd64"],
        "created": "2026-01-02T03:04:05Z",
        "reused": False,
        "source": {
            "repository": "https://github.com/acme/app",
            "revision": "a" * 40,
            "branch": None,
            "tag": None,
            "pipeline_number": None,
            "pipeline_url": None,
        },
    }


def test_all_platforms_and_attestations_come_along(world: World) -> None:
    digest = world.push(*PLATFORMS)

    run = world.promote()

    assert run.result == f"{world.target}:stable@{digest}"
    promoted = world.holding(world.target, "stable")
    assert promoted == world.holding(world.source, "1.0")
    assert (
        len(promoted) == 1 + 3 * 3
    )  # the index; of each image a manifest, a configuration, a layer
    assert world.ask(world.target, "manifests/stable").headers["Content-Type"] == INDEX


def test_a_second_run_copies_nothing(
    world: World, recorded_source: Recorder, recorded_target: Recorder, tmp_path: Path
) -> None:
    world.push(*PLATFORMS)
    first = world.promote()
    recorded_source.requests.clear()
    recorded_target.requests.clear()

    second = world.promote("--output", tmp_path / "image.json")

    assert second.result == first.result
    assert "nothing to do" in second.stderr
    for recorder in (recorded_source, recorded_target):
        assert {sent.method for sent in recorder.requests} <= {"GET", "HEAD"}
    (image,) = json.loads((tmp_path / "image.json").read_text())["images"]
    assert image["reused"] is True


def test_what_is_there_already_is_not_sent_again(world: World, recorded_target: Recorder) -> None:
    world.push(*PLATFORMS)
    world.promote()
    recorded_target.requests.clear()

    again = ended(
        world.program.with_variables(**world.variables).start(
            *world.arguments("--target", f"{world.target}:other")
        )
    )

    assert again.exit_code == 0, again.stderr
    assert recorded_target.of("POST") == []
    assert recorded_target.of("PUT", "/blobs/") == []
    assert world.holding(world.target, "other") == world.holding(world.source, "1.0")


def test_inside_one_registry_no_layer_is_moved(inside: World, recorded_source: Recorder) -> None:
    digest = inside.push(*PLATFORMS)
    recorded_source.requests.clear()

    run = inside.promote()

    assert run.result == f"{inside.target}:stable@{digest}"
    layers = {entry["digest"] for entry in _layers(inside)}
    assert len(layers) == 3
    mounts = recorded_source.of("POST", "mount=")
    assert layers <= {digest for digest in layers for sent in mounts if digest[7:] in sent.path}
    assert not [sent for sent in recorded_source.of("GET", "/blobs/") if _names(sent, layers)]
    assert not recorded_source.of("PUT", "/blobs/")
    assert {sent.size for sent in recorded_source.of("POST")} == {0}
    assert inside.holding(inside.target, "stable") == inside.holding(inside.source, "1.0")


def test_each_registry_sees_its_own_password_alone(
    world: World, recorded_source: Recorder, recorded_target: Recorder
) -> None:
    world.push(*PLATFORMS)
    recorded_source.requests.clear()

    with watched_command_lines() as seen:
        run = world.promote()

    assert run.exit_code == 0
    for recorder, own, other in (
        (recorded_source, world.source_login, world.target_login),
        (recorded_target, world.target_login, world.source_login),
    ):
        told = [json.dumps([sent.path, *sent.headers.items()]) for sent in recorder.requests]
        assert any(forms(own)[1] in line for line in told)
        assert not any(form in line for line in told for form in forms(other))
    for login in (world.source_login, world.target_login):
        assert not any(form in run.stdout + run.stderr for form in forms(login))
        assert not any(seen.showing(form) for form in forms(login))


def test_a_source_that_wants_a_password_is_not_offered_the_target_s(
    world: World, recorded_source: Recorder
) -> None:
    """Nobody named variables for the source: it is read anonymously, or not at all."""
    world.push("linux/amd64")
    recorded_source.requests.clear()

    run = world.promote("--source-username-env", "", "--source-password-env", "")

    run.assert_refused(3, f"{world.source.host} wants a user name and a password")
    assert recorded_source.requests
    assert not any("Authorization" in sent.headers for sent in recorded_source.requests)


def test_the_source_is_only_read(world: World, recorded_source: Recorder) -> None:
    world.push(*PLATFORMS)
    recorded_source.requests.clear()
    assert world.promote().exit_code == 0
    assert {sent.method for sent in recorded_source.requests} <= {"GET", "HEAD"}


def test_a_dry_run_copies_nothing(world: World, recorded_target: Recorder, tmp_path: Path) -> None:
    world.push("linux/amd64")

    run = world.promote("--dry-run", "--output", tmp_path / "image.json")

    assert run.result == f"{world.target}:stable"
    assert {sent.method for sent in recorded_target.requests} <= {"GET", "HEAD"}
    assert world.ask(world.target, "manifests/stable").status_code == 404
    assert not (tmp_path / "image.json").exists()


def test_a_tag_of_another_image_moves_unless_that_is_forbidden(world: World) -> None:
    before = replace(world, source=replace(world.source, path=f"{world.source.path}-before"))
    old = before.push("linux/amd64")
    assert before.promote().exit_code == 0
    new = world.push("linux/amd64")

    refused = world.promote("--if-exists", "fail")

    refused.assert_refused(4, f"found {old}")
    assert world.ask(world.target, "manifests/stable").headers["Docker-Content-Digest"] == old
    moved = world.promote()
    assert moved.result == f"{world.target}:stable@{new}"
    assert f"moves away from {old}" in moved.stderr


def test_a_missing_source_is_the_request_s_mistake(world: World) -> None:
    world.promote().assert_refused(2, f"expected the image {world.source}:1.0, found nothing")


@pytest.mark.parametrize("variable", ["FROM_PASSWORD", "DOCKER_PASSWORD"])
def test_a_wrong_password_is_refused_by_its_registry(world: World, variable: str) -> None:
    world.push("linux/amd64")
    host = (world.source if variable == "FROM_PASSWORD" else world.target).host
    run = world.promote(**{variable: "wr0ng-password"})
    run.assert_refused(3, f"{host} refused the user name or password")
    assert "wr0ng-password" not in run.stderr


def test_a_target_without_a_password_is_refused(world: World) -> None:
    world.push("linux/amd64")
    run = world.promote(DOCKER_LOGIN=None, DOCKER_PASSWORD=None)
    run.assert_refused(3, f"{world.target.host} wants a user name and a password, found none")


def test_a_big_layer_passes_through_without_memory_or_files(world: World, tmp_path: Path) -> None:
    layer = secrets.token_bytes(BIG)
    digest = _push_layer(world, layer)
    environ = {**world.program.environ, **world.variables, "PYTHONDONTWRITEBYTECODE": "1"}
    program = replace(world.program, environ=environ)

    idle = _peak(program, *world.arguments("--dry-run"))
    peak = _peak(program, *world.arguments())

    assert peak - idle < SPARE
    copied = world.ask(world.target, f"blobs/{digest}").content
    assert copied == layer
    assert program.temporary == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "tmp"]
    assert list((tmp_path / "home").rglob("*")) == []


def test_nothing_is_written_to_disk(world: World) -> None:
    world.push(*PLATFORMS)
    environ = {**world.program.environ, **world.variables, "PYTHONDONTWRITEBYTECODE": "1"}

    run = _python(replace(world.program, environ=environ), AUDITED, *world.arguments())

    assert run.result.startswith(f"{world.target}:stable@")
    opened = [line for line in run.stderr.splitlines() if line.startswith("opened for writing: ")]
    assert [line for line in opened if not line.endswith(os.devnull)] == []


@pytest.mark.parametrize("side", ["target", "source"])
def test_a_registry_that_is_down_is_tried_for_a_while(
    without_registry: Mapping[str, subprocess.Popen[str]], side: str
) -> None:
    run = ended(without_registry[side])
    run.assert_refused(5, "127.0.0.1:1")
    assert "Connection refused (tried 5 times)" in run.errors[0]
    assert "trying again in" in run.stderr


def test_a_dry_run_assumes_what_a_registry_that_is_down_would_say(
    without_registry: Mapping[str, subprocess.Popen[str]],
) -> None:
    run = ended(without_registry["dry run"])
    assert run.result == "127.0.0.1:1/team/app:stable"
    assert "assumed: 127.0.0.1:1/team/app:stable is not there yet" in run.stderr


def _layers(world: World) -> list[dict[str, str]]:
    index = world.ask(world.source, "manifests/1.0").json()
    images = (
        world.ask(world.source, f"manifests/{entry['digest']}").json()
        for entry in index["manifests"]
    )
    return [layer for image in images for layer in image["layers"]]


def _names(sent: Request, digests: set[str]) -> bool:
    return any(digest in sent.path for digest in digests)


def _push_layer(world: World, layer: bytes) -> str:
    """Push an image with one layer; return the layer's digest."""
    push = OciPush(world.source, world.source_login)
    pushed = push._blob(layer, LAYER)
    config = push._blob(b'{"os":"linux","architecture":"amd64"}', CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [pushed]}
    push._put_as("1.0", push._put(manifest, MANIFEST))
    digest: str = pushed["digest"]
    return digest


def _python(program: Program, code: str, *arguments: str | Path) -> Ended:

    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=program.directory,
        env=program.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return ended(process)


def _peak(program: Program, *arguments: str | Path) -> int:
    """Return the most memory in bytes that a successful run takes."""
    run = _python(program, PEAK, *arguments)
    assert run.exit_code == 0, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("peak: ")]
    return int(line.removeprefix("peak: "))
