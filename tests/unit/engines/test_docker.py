from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ImmutableTagError,
    MachineError,
    ServiceError,
)
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.publishing import Build
from gitops_release.engines.docker import DockerEngine
from gitops_release.system.processes import Completed
from gitops_release.system.retry import RetryPolicy
from tests.unit.system.scripted import OK, Call, FakeProcesses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.system.scripted import Clock

DIGEST = "sha256:" + "ab" * 32
BUILD = Build(context="web", dockerfile="web/Dockerfile")
ONE = (ImageReference.parse("r.example.com/acme/web:1"),)
TWO = (*ONE, ImageReference.parse("r.example.com/acme/web:latest"))
NO_BUILDX = Completed(1, b"", b"docker: 'buildx' is not a docker command.")
PUSHED = Completed(0, f"1: digest: {DIGEST} size: 528\n".encode(), b"")


def failed(line: str) -> Completed:
    return Completed(1, f"{line}\n".encode(), b"")


@dataclass
class Docker:
    """The engine over a client that ends as told; with buildx it leaves its metadata behind."""

    ends: Mapping[str, Completed] = field(default_factory=dict)
    password: str | None = "hunter22"
    shown: list[str] = field(default_factory=list)
    configs: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = FakeProcesses(self.ends, {"HOME": "/nonexistent"}, during=self.run)
        self.engine = DockerEngine(
            self.processes,  # type: ignore[arg-type]
            RetryPolicy(lambda _: None),
            self.shown.append,
            timeout=60,
        )

    def run(self, call: Call) -> None:
        if "DOCKER_CONFIG" in call.environ:
            config = Path(call.environ["DOCKER_CONFIG"]) / "config.json"
            self.configs.append(json.loads(config.read_bytes()))
        if "--metadata-file" in call.argv:
            metadata = Path(call.argv[call.argv.index("--metadata-file") + 1])
            metadata.write_text(json.dumps({"containerimage.digest": DIGEST}))

    def supply(self) -> Credentials | None:
        return None if self.password is None else Credentials("user", Secret(self.password))

    def push(self, build: Build = BUILD, references: tuple[ImageReference, ...] = ONE) -> Digest:
        return self.engine.build_and_push(build, references, self.supply)

    def builds(self) -> tuple[tuple[str, ...], ...]:
        return self.processes.argv_with("docker", "build", "--file")


def with_buildx(**ends: Completed) -> Docker:
    return Docker({"--progress": ends.get("build", OK)})


def without_buildx(**ends: Completed) -> Docker:
    return Docker(
        {
            "buildx": NO_BUILDX,
            "push": ends.get("push", PUSHED),
            "inspect": ends.get("inspect", OK),
            "build": ends.get("build", OK),
        }
    )


def values(argv: tuple[str, ...], option: str) -> list[str]:
    return [value for name, value in pairwise(argv) if name == option]


def test_buildx_builds_and_pushes_in_one_go() -> None:
    docker = with_buildx()
    assert docker.push(references=TWO) == Digest(DIGEST)
    (argv,) = docker.builds()
    assert argv[:3] == ("docker", "buildx", "build")
    assert "--push" in argv
    assert values(argv, "--tag") == [str(reference) for reference in TWO]
    assert values(argv, "--file") == [str(Path("web/Dockerfile").absolute())]
    assert argv[-2:] == ("--", str(Path("web").absolute()))
    assert docker.processes.argv_with("push") == ()


def test_without_buildx_the_image_is_built_and_pushed_tag_by_tag() -> None:
    docker = without_buildx()
    assert docker.push(references=TWO) == Digest(DIGEST)
    (argv,) = docker.builds()
    assert argv[:2] == ("docker", "build")
    assert values(argv, "--tag") == [str(reference) for reference in TWO]
    assert argv[-2:] == ("--", str(Path("web").absolute()))
    assert docker.processes.argv_with("push") == tuple(
        ("docker", "push", str(reference)) for reference in TWO
    )


HOSTILE = ["$(id)", "`id`", "a b", "; id", "--privileged", "-", "\n", "é", "", "x=y", '"', "'"]


@pytest.mark.parametrize("docker", [with_buildx(), without_buildx()], ids=["buildx", "plain"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_one_argument(docker: Docker, value: str) -> None:
    build = Build(
        context="--push",
        dockerfile=value,
        build_args=(("A", value),),
        labels=(("l", value),),
        target=value,
    )
    docker.push(build)
    argv = docker.builds()[-1]
    assert values(argv, "--file") == [str(Path(value).absolute())]
    assert values(argv, "--build-arg") == [f"A={value}"]
    assert values(argv, "--label") == [f"l={value}"]
    assert values(argv, "--target") == [value]
    assert argv[-2:] == ("--", str(Path("--push").absolute()))


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (Build(context="web", dockerfile="D", pull=True), {"--pull"}),
        (Build(context="web", dockerfile="D", no_cache=True), {"--no-cache"}),
        (Build(context="web", dockerfile="D"), set()),
    ],
)
def test_switches_are_handed_on(build: Build, options: set[str]) -> None:
    docker = with_buildx()
    docker.push(build)
    assert {"--pull", "--no-cache"} & set(docker.builds()[0]) == options


def test_platforms_are_one_option() -> None:
    docker = with_buildx()
    docker.push(Build(context="web", dockerfile="D", platforms=("linux/amd64", "linux/arm64")))
    assert values(docker.builds()[0], "--platform") == ["linux/amd64,linux/arm64"]


def test_platforms_need_buildx() -> None:
    docker = without_buildx()
    with pytest.raises(MachineError, match="buildx to build for linux/arm64"):
        docker.push(Build(context="web", dockerfile="D", platforms=("linux/arm64",)))
    assert docker.builds() == ()


@pytest.mark.parametrize("docker", [with_buildx(), without_buildx()], ids=["buildx", "plain"])
def test_a_password_is_in_no_argument_and_no_variable(docker: Docker) -> None:
    docker.push()
    for call in docker.processes.calls:
        assert "hunter22" not in " ".join(call.argv)
        assert "hunter22" not in " ".join(call.environ.values())
    logins = [config["auths"] for config in docker.configs if config["auths"]]
    assert logins
    assert all(list(login) == ["r.example.com"] for login in logins)  # type: ignore[call-overload]


@pytest.mark.parametrize("docker", [with_buildx(), without_buildx()], ids=["buildx", "plain"])
def test_private_files_are_gone_afterwards(docker: Docker) -> None:
    docker.push()
    for call in docker.processes.calls:
        if "DOCKER_CONFIG" in call.environ:
            assert not Path(call.environ["DOCKER_CONFIG"]).exists()


def test_a_push_that_failed_is_tried_again_with_fresh_credentials(clock: Clock) -> None:
    docker = without_buildx(push=failed("toomanyrequests: slow down"))
    with pytest.raises(ServiceError, match="tried 5 times"):
        docker.push()
    assert len(docker.processes.argv_with("push")) == 5
    assert len(docker.builds()) == 1
    assert len(clock.slept) == 4


def test_a_push_that_failed_in_buildx_is_tried_again(clock: Clock) -> None:
    line = "ERROR: failed to push r.example.com/acme/web:1: 503 Service Unavailable"
    docker = with_buildx(build=failed(line))
    with pytest.raises(ServiceError, match="503"):
        docker.push()
    assert len(clock.slept) == 4


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("denied: requested access to the resource is denied", AuthenticationError),
        ("tag invalid: the tag is immutable", ImmutableTagError),
        ("name unknown: no such repository", BuildError),
    ],
)
def test_a_push_that_was_refused_is_not_tried_for_long(
    line: str, kind: type[Exception], clock: Clock
) -> None:
    docker = without_buildx(push=failed(line))
    with pytest.raises(kind):
        docker.push()
    assert len(clock.slept) <= 1


def test_an_immutable_tag_comes_with_what_was_built() -> None:
    docker = without_buildx(
        push=failed("tag invalid: the tag is immutable"),
        inspect=Completed(0, f"{DIGEST}\n".encode(), b""),
    )
    with pytest.raises(ImmutableTagError) as caught:
        docker.push()
    assert caught.value.built == Digest(DIGEST)


@pytest.mark.parametrize("inspect", [failed("no such image"), Completed(0, b"<no value>\n", b"")])
def test_an_immutable_tag_may_come_without(inspect: Completed) -> None:
    docker = without_buildx(push=failed("the tag is immutable"), inspect=inspect)
    with pytest.raises(ImmutableTagError) as caught:
        docker.push()
    assert caught.value.built is None


@pytest.mark.parametrize("kind", ["buildx", "plain"])
def test_a_build_that_failed_is_not_tried_again(kind: str, clock: Clock) -> None:
    broken = failed("ERROR: failed to solve: process did not complete successfully")
    docker = with_buildx(build=broken) if kind == "buildx" else without_buildx(build=broken)
    with pytest.raises(BuildError, match=r"could not build web/Dockerfile \(exit status 1\)"):
        docker.push()
    assert clock.slept == []
    assert docker.processes.argv_with("push") == ()


def test_the_output_is_shown_line_by_line() -> None:
    docker = without_buildx()
    docker.push()
    assert docker.shown == [f"1: digest: {DIGEST} size: 528"]


def test_a_push_without_a_digest_is_a_failure() -> None:
    with pytest.raises(ServiceError, match="digest of r"):
        without_buildx(push=OK).push()


def test_the_engine_says_what_it_is() -> None:
    docker = Docker({"version": Completed(0, b"28.2.2 20.10.24\n", b"")})
    assert docker.engine.describe() == "docker 28.2.2 (daemon 20.10.24, buildx)"


def test_a_daemon_that_does_not_run_is_a_machine_error() -> None:
    docker = Docker({"version": Completed(1, b"28.2.2\n", b"Cannot connect to the Docker daemon")})
    with pytest.raises(MachineError, match="Cannot connect to the Docker daemon") as caught:
        docker.engine.describe()
    assert "setup_remote_docker" in (caught.value.hint or "")
