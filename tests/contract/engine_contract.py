"""What every engine promises; those that read Dockerfiles promise more."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, BuildError
from gitops_release.core.image import ImageReference, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.image import Digest
    from gitops_release.core.ports import Engine, Registry
    from gitops_release.core.publishing import Build

AWKWARD = {
    "spaces": "two  words",
    "quotes": 'it\'s "quoted"',
    "newline": "first line\nsecond line",
    "command": "$(touch executed) `touch executed` ${HOME} $HOME",
    "option": "--privileged",
    "equals": "a=b=c",
    "empty": "",
    "backslash": "back\\slash",
    "unicode": "schöne Grüße ☃",
}
PRINT_ARGUMENTS = r"""
for name; do
    eval "value=\$$name"
    echo "saw $name $(echo "$value" | /bin/busybox base64 | /bin/busybox tr -d '\n')"
done
"""
SCRATCH = "FROM scratch\nCOPY busybox /bin/busybox\n"


class EngineWorld(Protocol):
    """An engine, and a registry that wants a password."""

    engine: Engine
    registry: Registry  # logged in
    login: Credentials
    repository: Repository  # empty at first, and nobody else's

    def build(self, **options: Any) -> Build:  # noqa: ANN401 - the fields of `Build`
        """Return a build that succeeds, with more options of `Build`."""
        ...

    def failing_build(self) -> Build:
        """Return a build that fails."""
        ...


@dataclass
class Supplier:
    """Gives credentials, and counts how often it is asked."""

    gives: Credentials | None
    asked: int = field(default=0)

    def __call__(self) -> Credentials | None:
        self.asked += 1
        return self.gives


class EngineContract:
    """Subclasses give the fixture ``world``."""

    def test_an_engine_says_what_it_is_on_one_line(self, world: EngineWorld) -> None:
        said = world.engine.describe()

        assert said
        assert len(said.splitlines()) == 1

    def test_an_image_is_in_the_registry_under_every_tag_with_one_digest(
        self, world: EngineWorld
    ) -> None:
        tags = ("1.0", "1", "latest")
        supplier = Supplier(world.login)

        digest = world.engine.build_and_push(world.build(), references(world, *tags), supplier)

        assert [found(world, tag) for tag in tags] == [digest] * 3
        assert supplier.asked >= 1

    def test_labels_are_the_images(self, world: EngineWorld) -> None:
        labels = tuple(AWKWARD.items())

        digest = push(world, world.build(labels=labels))

        assert labels_of(world, digest) == AWKWARD

    def test_builds_that_differ_have_digests_that_differ(self, world: EngineWorld) -> None:
        first = push(world, world.build(labels=(("build", "1"),)))
        second = push(world, world.build(labels=(("build", "2"),)))

        assert first != second
        assert found(world, "1.0") == second

    def test_a_failed_build_is_a_build_error_and_tags_nothing(self, world: EngineWorld) -> None:
        with pytest.raises(BuildError):
            push(world, world.failing_build())

        assert found(world, "1.0") is None

    def test_a_wrong_password_is_an_authentication_error_and_tags_nothing(
        self, world: EngineWorld
    ) -> None:
        wrong = Supplier(Credentials(world.login.username, Secret("wrong-password")))

        with pytest.raises(AuthenticationError) as refused:
            world.engine.build_and_push(world.build(), references(world, "1.0"), wrong)

        assert found(world, "1.0") is None
        assert wrong.asked >= 1
        assert "wrong-password" not in f"{refused.value} {refused.value.hint}"

    def test_no_password_is_an_authentication_error(self, world: EngineWorld) -> None:
        with pytest.raises(AuthenticationError):
            world.engine.build_and_push(world.build(), references(world, "1.0"), Supplier(None))


class DockerfileWorld(EngineWorld, Protocol):
    """An engine that reads Dockerfiles, with its user's configuration."""

    context: Path
    user_config: Path
    shown: list[str]

    def dockerfile(self, text: str, **options: Any) -> Build:  # noqa: ANN401 - the fields of `Build`
        """Return the build of a Dockerfile in the context."""
        ...

    def containers(self) -> set[str]:
        """Return the containers that the engine knows, running or not."""
        ...


class DockerfileContract(EngineContract):
    """What an engine makes of Dockerfiles; subclasses give the fixture ``world``."""

    def test_the_last_stage_is_built_or_the_one_that_is_named(self, world: DockerfileWorld) -> None:
        stages = (
            "FROM scratch AS compile\nCOPY busybox /bin/busybox\nLABEL stage=compile\n"
            'RUN ["/bin/busybox", "sh", "-c", "echo made > /made"]\n'
            "FROM scratch AS test\nCOPY --from=compile /made /made\nLABEL stage=test\n"
            "FROM scratch\nCOPY --from=compile /made /made\nLABEL stage=last\n"
        )

        last = push(world, world.dockerfile(stages))
        named = push(world, world.dockerfile(stages, target="test"))

        assert labels_of(world, last)["stage"] == "last"
        assert labels_of(world, named)["stage"] == "test"

    def test_build_arguments_arrive_as_they_are(self, world: DockerfileWorld) -> None:
        arguments = "".join(f"ARG {name}=default\n" for name in AWKWARD)
        run = json.dumps(["/bin/busybox", "sh", "-c", PRINT_ARGUMENTS, "sh", *AWKWARD])
        build = world.dockerfile(
            f"{SCRATCH}{arguments}RUN {run}\n", build_args=tuple(AWKWARD.items()), no_cache=True
        )

        push(world, build)

        assert said(world.shown) == AWKWARD
        assert not list(world.context.rglob("executed"))
        assert not Path("executed").exists()

    def test_a_dockerfile_may_lie_outside_the_context(
        self, world: DockerfileWorld, tmp_path: Path
    ) -> None:
        elsewhere = tmp_path / "else where" / "Dockerfile.web"
        elsewhere.parent.mkdir()
        elsewhere.write_text(f"{SCRATCH}LABEL from=elsewhere\n")

        digest = push(world, world.build(dockerfile=str(elsewhere)))

        assert labels_of(world, digest) == {"from": "elsewhere"}

    def test_the_builders_output_is_shown(self, world: DockerfileWorld) -> None:
        run = 'RUN ["/bin/busybox", "echo", "spoken", "by", "the", "build"]\n'

        push(world, world.dockerfile(SCRATCH + run, no_cache=True))

        assert any("spoken by the build" in line for line in world.shown)

    def test_a_build_step_that_fails_is_shown_and_tags_nothing(
        self, world: DockerfileWorld
    ) -> None:
        words = "ERROR: failed to push: unauthorized: unexpected status code 503"
        run = f'RUN ["/bin/busybox", "sh", "-c", "echo {words}; exit 3"]\n'

        with pytest.raises(BuildError):
            push(world, world.dockerfile(SCRATCH + run))

        assert any(words in line for line in world.shown)
        assert not any("trying again" in line for line in world.shown)
        assert found(world, "1.0") is None

    def test_a_build_step_that_fails_leaves_no_container(self, world: DockerfileWorld) -> None:
        before = world.containers()

        with pytest.raises(BuildError):
            push(world, world.dockerfile(f'{SCRATCH}RUN ["/bin/busybox", "false"]\n'))

        assert world.containers() == before

    def test_the_users_configuration_stays_as_it_is(self, world: DockerfileWorld) -> None:
        config = world.user_config / "config.json"
        config.write_text('{"auths": {"registry.example.com": {"auth": "dXNlcjpwYXNz"}}}')
        before = state(world.user_config)

        push(world, world.build())
        wrong = Supplier(Credentials(world.login.username, Secret("wrong-password")))
        with pytest.raises(AuthenticationError):
            world.engine.build_and_push(world.build(), references(world, "2.0"), wrong)

        assert state(world.user_config) == before

    def test_no_temporary_file_is_left(
        self, world: DockerfileWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))

        world.engine.describe()
        push(world, world.build())
        with pytest.raises(BuildError):
            push(world, world.failing_build())

        assert list(temporary.iterdir()) == []


def references(world: EngineWorld, *tags: str) -> list[ImageReference]:
    return [ImageReference(world.repository, tag) for tag in tags]


def push(world: EngineWorld, build: Build) -> Digest:
    supplier = Supplier(world.login)
    return world.engine.build_and_push(build, references(world, "1.0"), supplier)


def found(world: EngineWorld, tag: str) -> Digest | None:
    description = world.registry.describe(ImageReference(world.repository, tag))
    return None if description is None else description.digest


def labels_of(world: EngineWorld, digest: Digest) -> Mapping[str, str]:
    description = world.registry.describe(ImageReference(world.repository, digest=digest))
    assert description is not None
    return description.labels


def said(shown: list[str]) -> dict[str, str]:
    """Return what a build step printed of its arguments."""
    pairs = re.findall(r"^(?:#\d+ [\d.]+ )?saw (\w+) (\S*)$", "\n".join(shown), re.MULTILINE)
    return {name: base64.b64decode(text).decode().removesuffix("\n") for name, text in pairs}


def state(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file's time and content, but for those that buildx itself keeps there."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "buildx" not in path.relative_to(directory).parts[:1]
    }
