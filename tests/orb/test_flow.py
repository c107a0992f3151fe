"""The orb executed: a commit goes through both jobs to a pull request, with the real helper."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.contract.git_behind import PERSON, GitBehind
from tests.orb.components import config_with_orb
from tests.orb.runner import JobResult, Machine
from tests.orb.wheelhouse import build_wheelhouse
from tests.orb.workflows import expand
from tests.standins.github import GitHubStandIn
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from tests.standins.dockerd import DockerClient, DockerDaemon

BUILD: Final = "gitops-release/build_and_push_image"
RELEASE: Final = "gitops-release/create_release_pr"
TOKEN: Final = "bot-token-that-is-not-shown"
DOCKERFILE: Final = """\
FROM scratch
COPY busybox /bin/busybox
ARG SAID
RUN ["/bin/busybox", "true"]
LABEL said=$SAID
"""
MANIFEST: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app}}
spec:
  template:
    spec:
      containers:
      - name: app
        image: {repository}:1.0.0  # by pull request
"""


def test_a_commit_goes_through_both_jobs_to_a_pull_request(
    tmp_path: Path,
    build_context: Path,
    docker_clients: Mapping[str, DockerClient],
    daemon: DockerDaemon,
    login: Credentials,
    image_repository: Repository,
) -> None:
    source = checkout(tmp_path / "source", build_context)
    manifest = MANIFEST.format(repository=image_repository).encode()
    registry, _, image = str(image_repository).rpartition("/")
    wheels = build_wheelhouse(tmp_path / "wheels")
    helper = {"helper_source": str(wheels), "helper_extras": ""}
    # The wheels fit this Python alone.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **docker_clients["without-buildx"].environment({"PATH": path}),
        "DOCKER_HOST": daemon.host,
        "DOCKER_LOGIN": login.username,
        "DOCKER_PASSWORD": login.password.reveal(),
        "GITHUB_TOKEN": TOKEN,
    }
    with GitHubStandIn(tmp_path / "github") as github:
        behind = GitBehind(github.add_repository("acme/manifests"))
        main = behind.commit("main", {"deployment.yaml": ("100644", manifest)})
        github.add_user("bot", TOKEN, {"acme/manifests": "write"})
        config = config_with_orb(
            build_and_push_image={
                "registry": registry,
                "image": image,
                "tag": "${CIRCLE_SHA1:0:7}, latest",
                "build_context": "app dir",
                "build_arg": 'SAID=it\'s "said"; on ${CIRCLE_BRANCH}',
                **helper,
            },
            create_release_pr={
                "manifest_repository": "acme/manifests",
                "github_api_url": github.api_url,
                "environment": "production",
                "requires": [BUILD],
                **helper,
            },
        )
        jobs = expand(config).workflows["release"]
        machine = Machine(root=tmp_path / "machines", source=source, environment=environment)

        results = machine.run_all(jobs)
        written = len(github.writes)
        again = machine.run_all(jobs)

    for result in (*results.values(), *again.values()):
        assert result.exit_code == 0, result.report()
    assert list(results) == list(again) == [BUILD, RELEASE]
    assert github.violations == []
    build, release = results[BUILD], results[RELEASE]
    pinned = build.step("Build and push the image").stdout.strip()
    assert pinned.startswith(f"{image_repository}:0123456@sha256:")
    assert pinned.count("\n") == 0
    (kept,) = artifacts(build)
    assert kept["images"][0]["reference"] == pinned
    assert kept["images"][0]["tags"] == ["0123456", "latest"]
    assert kept["images"][0]["source"]["branch"] == "main"
    branch = f"release-{image}-0123456-production"
    assert set(behind.branches) == {"main", branch}
    commit = behind.commit_at(branch)
    assert commit.parents == (main,)
    new = manifest.replace(b":1.0.0 ", b":0123456 ")
    assert commit.files == {"deployment.yaml": ("100644", new)}
    (made,) = artifacts(release)
    assert made["operation"] == "created"
    url = release.step("Create the release pull request").stdout.strip()
    assert url == made["pull_request"]["url"]
    # The second workflow: the image is there, the pull request is open.
    assert len(github.writes) == written
    assert again[BUILD].step("Build and push the image").stdout.strip() == pinned
    assert again[RELEASE].step("Create the release pull request").stdout.strip() == url
    for result in (*results.values(), *again.values()):
        for secret in (login.password.reveal(), TOKEN):
            assert secret not in result.report()


def checkout(directory: Path, context: Path) -> Path:
    """Make a project with its Dockerfile in a folder of its own."""
    folder = directory / "app dir"
    folder.mkdir(parents=True)
    shutil.copy(context / "busybox", folder)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--message=Start"]):
        run_git("-C", str(directory), *command, environment=PERSON)
    return directory


def artifacts(result: JobResult) -> list[dict[str, Any]]:
    """Return the documents that a job keeps for people."""
    return [json.loads(path.read_text()) for path in sorted(result.artifacts.rglob("*.json"))]
