"""Docker: buildx where the client has it, else ``docker build`` and ``docker push``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ImmutableTagError,
    MachineError,
    ServiceError,
)
from gitops_release.core.image import Digest
from gitops_release.engines.docker_config import docker_config
from gitops_release.engines.push_errors import built_digest, is_push_failure, push_error
from gitops_release.system.files import private_directory
from gitops_release.system.retry import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gitops_release.core.credentials import Credentials, CredentialSupplier
    from gitops_release.core.image import ImageReference
    from gitops_release.core.publishing import Build
    from gitops_release.system.processes import Followed, Processes
    from gitops_release.system.retry import RetryPolicy

PUSHED: Final = re.compile(r"\bdigest: (sha256:[0-9a-f]{64}) size: \d+")
NO_DAEMON: Final = (
    "start the docker daemon; on CircleCI use a machine executor, or the step setup_remote_docker"
)


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """Builds and pushes with the docker client on PATH and the daemon it is set to."""

    processes: Processes
    retry: RetryPolicy
    show: Callable[[str], None]  # takes the client's output, line by line
    timeout: float  # seconds, for one build or one push

    def describe(self) -> str:
        """Return the versions of client and daemon; without them raise ``MachineError``."""
        with docker_config(self.processes.environ, "", None) as config:
            version = self.processes.run(
                ["docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}"],
                extra=config.environ,
            )
        if version.returncode != 0:
            raise MachineError(
                f"expected a docker daemon, found none: {version.message}",
                hint=NO_DAEMON,
            )
        client, _, server = version.stdout.decode().strip().partition(" ")
        builder = "buildx" if self._has_buildx() else "no buildx: one platform only"
        return f"docker {client} (daemon {server}, {builder})"

    def build_and_push(
        self, build: Build, references: Sequence[ImageReference], credentials: CredentialSupplier
    ) -> Digest:
        """Build an image, push it under each reference, and return its manifest's digest."""
        if self._has_buildx():
            return self._with_buildx(build, references, credentials)
        return self._without_buildx(build, references, credentials)

    def _with_buildx(
        self, build: Build, references: Sequence[ImageReference], credentials: CredentialSupplier
    ) -> Digest:
        """Build and push in one go; another attempt finds every layer built and most pushed."""
        what = _names(references)
        patience = iter([True])

        def attempt() -> Digest:
            with private_directory() as directory:
                metadata = directory / "metadata.json"
                argv = [
                    *("docker", "buildx", "build", "--progress", "plain", "--push"),
                    *("--metadata-file", str(metadata)),
                    *(part for name in references for part in ("--tag", str(name))),
                    *(("--platform", ",".join(build.platforms)) if build.platforms else ()),
                    *_arguments(build),
                ]
                ended = self._docker(argv, references[0].repository.host, credentials())
                if ended.returncode == 0:
                    return _digest_in(metadata)
            if is_push_failure(ended.tail):
                raise _push_error(ended, what, patience, lambda: built_digest(ended.tail))
            raise _build_error(build, ended)

        return self.retry.run(attempt, what=f"push {what}")

    def _without_buildx(
        self, build: Build, references: Sequence[ImageReference], credentials: CredentialSupplier
    ) -> Digest:
        if build.platforms:
            raise MachineError(
                f"expected buildx to build for {', '.join(build.platforms)}, found a docker "
                "client without it",
                hint="install the docker-buildx plugin, or leave --platform out",
            )
        host = references[0].repository.host
        tags = [part for name in references for part in ("--tag", str(name))]
        # Base images may be private on the same host, so the build is logged in as well.
        # Of a step that fails, the container would stay.
        argv = ["docker", "build", "--force-rm", *tags, *_arguments(build)]
        ended = self._docker(argv, host, credentials())
        if ended.returncode != 0:
            raise _build_error(build, ended)
        digests = {self._push(reference, credentials) for reference in references}
        if len(digests) != 1:
            raise BuildError(
                f"expected one digest for {_names(references)}, found {sorted(map(str, digests))}",
                hint="does another build on this docker daemon use the same tags?",
            )
        return digests.pop()

    def _push(self, reference: ImageReference, credentials: CredentialSupplier) -> Digest:
        patience = iter([True])

        def attempt() -> Digest:
            host = reference.repository.host
            ended = self._docker(["docker", "push", str(reference)], host, credentials())
            if ended.returncode != 0:
                what = str(reference)
                raise _push_error(ended, what, patience, lambda: self._image_id(reference))
            pushed = PUSHED.findall(ended.tail)
            if not pushed:
                raise ServiceError(
                    f"expected the digest of {reference} from docker push, found none"
                )
            return Digest(pushed[-1])

        return self.retry.run(attempt, what=f"push {reference}")

    def _image_id(self, reference: ImageReference) -> Digest | None:
        """Return the id of an image that was just built: its configuration's digest."""
        found = self.processes.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", str(reference)]
        )
        text = found.stdout.decode().strip()
        return Digest(text) if found.returncode == 0 and text.startswith("sha256:") else None

    def _docker(self, argv: Sequence[str], host: str, credentials: Credentials | None) -> Followed:
        with docker_config(self.processes.environ, host, credentials) as config:
            return self.processes.follow(
                argv, show=self.show, extra=config.environ, timeout=self.timeout
            )

    def _has_buildx(self) -> bool:
        with docker_config(self.processes.environ, "", None) as config:
            found = self.processes.run(["docker", "buildx", "version"], extra=config.environ)
        return found.returncode == 0


def _push_error(
    ended: Followed, what: str, patience: Iterator[bool], built: Callable[[], Digest | None]
) -> Exception:
    """Return what a failed push amounts to.

    Credentials were good before the build: refused now, they may have aged, and fresh ones are
    worth one attempt. A tag that does not move is told apart by what was built.
    """
    match push_error(ended.tail, what):
        case AuthenticationError() as error if next(patience, False):
            return TransientError(error.message)
        case ImmutableTagError() as error:
            return ImmutableTagError(error.message, hint=error.hint, built=built())
        case error:
            return error


def _arguments(build: Build) -> list[str]:
    """Return the options that every docker build has, and the context last.

    Paths are absolute: docker takes a context or Dockerfile called ``-`` for its standard input.
    """
    options: list[tuple[str, ...]] = [
        ("--file", str(Path(build.dockerfile).absolute())),
        *(("--build-arg", f"{name}={value}") for name, value in build.build_args),
        *(("--label", f"{name}={value}") for name, value in build.labels),
    ]
    if build.target is not None:
        options.append(("--target", build.target))
    if build.pull:
        options.append(("--pull",))
    if build.no_cache:
        options.append(("--no-cache",))
    return [
        *(part for option in options for part in option),
        "--",
        str(Path(build.context).absolute()),
    ]


def _digest_in(metadata: Path) -> Digest:
    """Return the pushed manifest's or index's digest from buildx's metadata file."""
    content: Mapping[str, object] = json.loads(metadata.read_bytes())
    digest = content.get("containerimage.digest")
    if not isinstance(digest, str):
        raise ServiceError(f"expected containerimage.digest from buildx, found {sorted(content)}")
    return Digest(digest)


def _build_error(build: Build, ended: Followed) -> BuildError:
    return BuildError(
        f"docker could not build {build.dockerfile} (exit status {ended.returncode})",
        hint="its output stands above",
    )


def _names(references: Sequence[ImageReference]) -> str:
    return ", ".join(str(reference) for reference in references)
