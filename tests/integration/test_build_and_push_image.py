"""``build-and-push-image`` as a user runs it, with a real daemon and a registry with passwords."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import requests

from tests.contract.git_behind import PERSON
from tests.integration.program import (
    Ended,
    Program,
    ended,
    forms,
    snapshot,
    watched_command_lines,
)
from tests.standins import processes
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from tests.standins.dockerd import DockerClient, DockerDaemon
    from tests.standins.registry import Registry

MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
DOCKERFILE: Final = """\
FROM scratch
COPY busybox /bin/busybox
ARG SAID=nothing
RUN ["/bin/busybox", "sh", "-c", "echo made > /made"]
LABEL said=$SAID
"""
COUNTING_DOCKER: Final = """\
#!/bin/sh
echo "$*" >> {log}
exec {docker} "$@"
"""


@dataclass(frozen=True)
class App:
    """An application's checkout, and where its image goes."""

    program: Program
    repository: Repository
    login: Credentials
    root: Path

    def build(self, *arguments: str | Path, **variables: str | None) -> Ended:
        return ended(self.start(*arguments, **variables))

    def start(self, *arguments: str | Path, **variables: str | None) -> subprocess.Popen[str]:
        prefix, _, name = str(self.repository).rpartition("/")
        where = ("--registry", prefix, "--image", name)
        program = self.program.with_variables(**variables)
        return program.start("build-and-push-image", *where, *arguments)

    @property
    def head(self) -> str:
        return git(self.program.directory, "rev-parse", "HEAD")

    def manifest(self, tag: str) -> requests.Response:
        return self._ask(f"manifests/{tag}")

    def labels(self, tag: str) -> Mapping[str, str]:
        config = self._ask(f"blobs/{self.manifest(tag).json()['config']['digest']}").json()
        labels: Mapping[str, str] = config["config"]["Labels"]
        return labels

    def tags(self) -> list[str]:
        answer = self._ask("tags/list")
        return sorted(answer.json().get("tags") or []) if answer.ok else []

    def _ask(self, path: str) -> requests.Response:
        return requests.get(
            f"http://{self.repository.host}/v2/{self.repository.path}/{path}",
            headers={"Accept": MANIFESTS},
            auth=(self.login.username, self.login.password.reveal()),
            timeout=10,
        )


def git(directory: Path, *arguments: str) -> str:
    return run_git("-C", str(directory), *arguments, environment=PERSON).decode().strip()


def make_app(
    root: Path,
    context: Path,
    client: DockerClient,
    daemon: DockerDaemon,
    login: Credentials,
    repository: Repository,
) -> App:
    (context / "Dockerfile").write_text(DOCKERFILE)
    git(context, "init", "--quiet", "--initial-branch=main")
    git(context, "add", ".")
    git(context, "commit", "--quiet", "--message=Start")
    git(context, "remote", "add", "origin", "https://user:token@github.com/acme/app.git")
    program = Program.at_home(context, root)
    variables = {
        **client.environment(program.environ),
        "DOCKER_HOST": daemon.host,
        "DOCKER_LOGIN": login.username,
        "DOCKER_PASSWORD": login.password.reveal(),
    }
    return App(program.with_variables(**variables), repository, login, root)


@pytest.fixture
def app(
    tmp_path: Path,
    build_context: Path,
    docker_client: DockerClient,
    daemon: DockerDaemon,
    login: Credentials,
    image_repository: Repository,
) -> App:
    """Return an application for each of docker's clients."""
    return make_app(tmp_path, build_context, docker_client, daemon, login, image_repository)


@pytest.fixture
def one_app(
    tmp_path: Path,
    build_context: Path,
    docker_clients: Mapping[str, DockerClient],
    daemon: DockerDaemon,
    login: Credentials,
    image_repository: Repository,
) -> App:
    """Return an application for tests in which the client makes no difference."""
    client = docker_clients["without-buildx"]
    return make_app(tmp_path, build_context, client, daemon, login, image_repository)


@pytest.fixture(scope="module", autouse=True)
def without_registry(
    tmp_path_factory: pytest.TempPathFactory, daemon: DockerDaemon
) -> Iterator[Mapping[str, subprocess.Popen[str]]]:
    """Start what waits for a registry that is down: it takes half a minute, beside the others."""
    root = tmp_path_factory.mktemp("down")
    (root / "Dockerfile").write_text("FROM scratch\n")
    program = Program.at_home(root, root).with_variables(DOCKER_HOST=daemon.host)
    command = ("build-and-push-image", "--registry=127.0.0.1:1/team", "--image=app", "--tag=1")
    started = {"run": program.start(*command), "dry run": program.start(*command, "--dry-run")}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def test_a_dockerfile_becomes_an_image_with_a_proved_digest(app: App) -> None:
    output = app.root / "workspace" / "images" / "app.json"

    run = app.build(
        *("--tag=1.0", "--tag=latest", "--output", output),
        *("--build-arg", "SAID=two words; $$(touch executed) `touch executed`".replace("`", "'")),
    )

    digest = app.manifest("1.0").headers["Docker-Content-Digest"]
    assert run.result == f"{app.repository}:1.0@{digest}"
    assert app.tags() == ["1.0", "latest"]
    assert app.manifest("latest").headers["Docker-Content-Digest"] == digest
    (image,) = json.loads(output.read_text())["images"]
    assert image.pop("created")
    assert image == {
        "repository": str(app.repository),
        "tags": ["1.0", "latest"],
        "digest": digest,
        "reference": run.result,
        "platforms": ["linux/amd64"],
        "reused": False,
        "source": {
            "repository": "https://github.com/acme/app",
            "revision": app.head,
            "branch": None,
            "tag": None,
            "pipeline_number": None,
            "pipeline_url": None,
        },
    }
    labels = app.labels("1.0")
    assert labels["said"] == "two words; $(touch executed) 'touch executed'"
    assert labels["org.opencontainers.image.revision"] == app.head
    assert labels["org.opencontainers.image.source"] == "https://github.com/acme/app"
    created = git(app.program.directory, "show", "-s", "--format=%cI")
    assert labels["org.opencontainers.image.created"] == created
    assert not list(app.root.rglob("executed"))
    assert app.program.temporary == []
    assert git(app.program.directory, "status", "--porcelain") == ""


def test_a_second_run_builds_nothing_and_reports_the_same_digest(app: App) -> None:
    output, log = app.root / "image.json", app.root / "docker.log"
    real = shutil.which("docker", path=app.program.environ["PATH"])
    counting = app.root / "counting" / "docker"
    counting.parent.mkdir()
    counting.write_text(COUNTING_DOCKER.format(log=log, docker=real))
    counting.chmod(0o755)
    path = f"{counting.parent}{os.pathsep}{app.program.environ['PATH']}"
    first = app.build("--tag=1.0", "--output", output, PATH=path)
    builds = [line for line in log.read_text().splitlines() if "--file" in line.split()]
    assert len(builds) == 1
    log.unlink()

    second = app.build("--tag=1.0", "--tag=new", "--output", output, PATH=path)

    assert second.result == first.result
    assert "is reused" in second.stderr
    commands = {line.split()[0] for line in log.read_text().splitlines()}
    assert commands <= {"version", "buildx"}
    assert not [line for line in log.read_text().splitlines() if "--file" in line.split()]
    assert app.tags() == ["1.0", "new"]
    (image,) = json.loads(output.read_text())["images"]
    assert image["reused"] is True
    assert image["tags"] == ["1.0", "new"]


def test_other_options_build_again_and_move_the_tag_with_a_notice(one_app: App) -> None:
    first = one_app.build("--tag=1.0").result

    second = one_app.build("--tag=1.0", "--build-arg=SAID=other")

    assert second.result != first
    notice = f"notice: the tag 1.0 moves away from {first.rpartition('@')[2]}"
    assert notice in second.stderr
    assert one_app.labels("1.0")["said"] == "other"


def test_a_tag_that_exists_is_a_conflict_if_the_request_says_so(one_app: App) -> None:
    digest = one_app.build("--tag=1.0").result.rpartition("@")[2]

    one_app.build("--tag=1.0", "--if-exists=fail").assert_refused(4, digest)


def test_without_a_tag_the_image_is_named_after_its_commit(one_app: App) -> None:
    clean = one_app.build("--dry-run")
    (one_app.program.directory / "new").write_text("not committed")
    dirty = one_app.build("--dry-run")
    job = one_app.build("--dry-run", CIRCLE_SHA1="0123456789" * 4)

    assert clean.result == f"{one_app.repository}:{one_app.head[:7]}"
    assert dirty.result == f"{one_app.repository}:{one_app.head[:7]}-dirty"
    assert job.result == f"{one_app.repository}:0123456"


def test_a_dry_run_needs_neither_credentials_nor_docker_and_writes_nothing(
    one_app: App, registry: Registry
) -> None:
    programs = one_app.root / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "git")
    before = snapshot(one_app.root, registry.storage)

    run = one_app.build(
        *("--tag=1.0", "--output", one_app.root / "image.json", "--dry-run"),
        PATH=str(programs),
        DOCKER_LOGIN=None,
        DOCKER_PASSWORD=None,
        DOCKER_HOST=None,
    )

    assert run.result == f"{one_app.repository}:1.0"
    assumed = [line for line in run.stderr.splitlines() if line.startswith("assumed: ")]
    assert len(assumed) == 2
    assert "is not there yet" in assumed[0]
    assert "program docker" in assumed[1]
    assert snapshot(one_app.root, registry.storage) == before


WRONG: Final = {
    "an unknown value of an option": (["--if-exists=bogus"], 2, "--if-exists: expected one of"),
    "an unknown engine": (["--engine=bogus"], 2, "--engine: expected one of"),
    "an unknown option": (["--bogus"], 2, "--bogus"),
    "an argument without an option": (["bogus"], 2, "bogus"),
    "an empty image": (["--image="], 2, "--image"),
    "an empty component": (["--registry=asia.gcr.io//x"], 2, "empty component"),
    "an empty project": (["--registry=asia.gcr.io/$EMPTY/x"], 2, "empty component"),
    "a registry without a host": (["--registry=team/app"], 2, "HOST/PATH"),
    "an image in upper case": (["--image=App"], 2, "lower-case"),
    "a malformed tag": (["--tag=a b"], 2, "expected a tag"),
    "a tag like an option": (["--tag=--privileged"], 2, "expected a tag"),
    "a missing Dockerfile": (["--dockerfile=nope"], 2, "expected a Dockerfile at nope"),
    "a missing context": (["--build-context=nope"], 2, "expected a directory"),
    "a build argument without a name": (["--build-arg==x"], 2, "NAME=VALUE"),
    "an unset variable": (["--tag=$UNSET"], 2, "UNSET"),
    "a command in a value": (["--tag=$(touch executed)"], 2, "$("),
    "backticks in a value": (["--tag=`touch executed`"], 2, "`"),
    "a secret in a value": (["--build-arg=X=$DOCKER_PASSWORD"], 2, "DOCKER_PASSWORD"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_gets_one_clear_line_and_touches_nothing(one_app: App, case: str) -> None:
    arguments, exit_code, words = WRONG[case]
    before = snapshot(one_app.root)

    one_app.build(*arguments, EMPTY="").assert_refused(exit_code, words)

    assert snapshot(one_app.root) == before
    assert one_app.tags() == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DOCKER_PASSWORD": "wrong-password"}, "refused the user name or password"),
        ({"DOCKER_LOGIN": "nobody"}, "refused the user name or password"),
        ({"DOCKER_PASSWORD": None}, "found DOCKER_PASSWORD unset"),
        ({"DOCKER_LOGIN": None, "DOCKER_PASSWORD": None}, "wants a user name and a password"),
    ],
    ids=["wrong password", "wrong user", "no password", "neither"],
)
def test_wrong_credentials_are_refused_before_anything_is_built(
    one_app: App, variables: Mapping[str, str | None], words: str
) -> None:
    run = one_app.build("--tag=1.0", **variables)

    run.assert_refused(3, words)
    assert "wrong-password" not in run.stderr
    assert "Step 1" not in run.stderr
    assert one_app.tags() == []


def test_a_daemon_that_does_not_answer_is_an_error_of_this_machine(one_app: App) -> None:
    run = one_app.build("--tag=1.0", DOCKER_HOST=f"unix://{one_app.root}/none")

    run.assert_refused(2, "expected a docker daemon, found none")


def test_a_build_that_fails_is_told_from_everything_else(app: App) -> None:
    (app.program.directory / "Dockerfile").write_text(f"{DOCKERFILE}COPY not-there /\n")

    run = app.build("--tag=1.0")

    run.assert_refused(7, "could not build")
    assert "not-there" in run.stderr
    assert app.tags() == []
    assert app.program.temporary == []


def test_the_password_is_neither_in_a_command_line_nor_in_the_output(app: App) -> None:
    shown = 'RUN ["/bin/busybox", "echo", "PASSWORD"]\n'
    password = app.login.password.reveal()
    dockerfile = DOCKERFILE + shown.replace("PASSWORD", password)
    (app.program.directory / "Dockerfile").write_text(dockerfile)

    with watched_command_lines() as seen:
        run = app.build("--tag=1.0", "--output", app.root / "image.json")

    assert run.exit_code == 0, run.stderr
    assert seen.showing("build-and-push-image")
    assert seen.showing("docker")
    for form in forms(app.login):
        # The build's own step is this test's doing; its output passes through the program.
        assert [line for line in seen.showing(form) if b"busybox\0echo" not in line] == []
        assert form not in run.stdout + run.stderr + (app.root / "image.json").read_text()
    assert "***" in run.stderr
    home = snapshot(Path(app.program.environ["HOME"]), Path(app.program.environ["DOCKER_CONFIG"]))
    assert not [name for name, content in home.items() if password.encode() in content]


def test_a_terminated_build_leaves_nothing_and_can_be_run_again(app: App) -> None:
    nap = f"86400.{secrets.randbelow(10**9)}"
    dockerfile = app.program.directory / "Dockerfile"
    sleep = 'RUN ["/bin/busybox", "sh", "-c", "exec /bin/busybox sleep $NAP"]\n'
    dockerfile.write_text(f"{DOCKERFILE}ARG NAP\n{sleep}")
    git(app.program.directory, "commit", "--quiet", "--all", "--message=Sleep")
    process = app.start("--tag=1.0", f"--build-arg=NAP={nap}")
    asleep = processes.wait_until(lambda: sleeping(nap), 30)
    credentials = app.program.temporary

    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    run = ended(process)

    assert asleep, run.stderr
    assert credentials
    assert run.exit_code == 143
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert time.monotonic() - started < 15
    assert app.program.temporary == []
    assert processes.mentioning(str(app.repository)) == []
    assert processes.wait_until(lambda: not processes.mentioning(nap), 15)
    assert app.tags() == []
    again = app.build("--tag=1.0", "--build-arg=NAP=0")
    assert again.result.startswith(f"{app.repository}:1.0@sha256:")


def sleeping(nap: str) -> bool:
    """Say whether the build's step runs: the client's command line has the number, too."""
    return any(
        b"sleep\0" in Path(f"/proc/{process}/cmdline").read_bytes()
        for process in processes.mentioning(nap)
        if Path(f"/proc/{process}").exists()
    )


def test_a_registry_that_is_down_is_tried_for_a_while(
    without_registry: Mapping[str, subprocess.Popen[str]],
) -> None:
    run = ended(without_registry["run"])

    run.assert_refused(5, "Connection refused (tried 5 times)")
    assert "run again later" in run.stderr


def test_a_dry_run_shows_what_it_could_not_read(
    without_registry: Mapping[str, subprocess.Popen[str]],
) -> None:
    run = ended(without_registry["dry run"])

    assert run.result == "127.0.0.1:1/team/app:1"
    assert "assumed: 127.0.0.1:1/team/app:1 is not there yet" in run.stderr
