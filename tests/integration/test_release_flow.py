"""From a Dockerfile to a pull request on GitHub that pins the very image that was pushed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.contract.git_behind import PERSON, GitBehind
from tests.integration.program import Program
from tests.standins.github import GitHubStandIn
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from pathlib import Path

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from tests.standins.dockerd import DockerClient, DockerDaemon

DOCKERFILE: Final = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "true"]\n'
KUSTOMIZATION: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
images:
# Released by pull request.
- name: {repository}
  newTag: "1.0.0"   # the last one
- name: registry.example.com/shop/metrics
  newTag: "2.4"
"""
PATH: Final = "overlays/production/kustomization.yaml"
TOKEN: Final = "bot-token-that-is-not-shown"


def test_a_commit_becomes_a_pull_request_that_pins_its_image(
    tmp_path: Path,
    build_context: Path,
    docker_client: DockerClient,
    daemon: DockerDaemon,
    login: Credentials,
    image_repository: Repository,
) -> None:
    (build_context / "Dockerfile").write_text(DOCKERFILE)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--message=Start"]):
        run_git("-C", str(build_context), *command, environment=PERSON)
    before = KUSTOMIZATION.format(repository=image_repository)
    program = Program.at_home(build_context, tmp_path)
    program = program.with_variables(
        **docker_client.environment(program.environ),
        DOCKER_HOST=daemon.host,
        DOCKER_LOGIN=login.username,
        DOCKER_PASSWORD=login.password.reveal(),
        GITHUB_TOKEN=TOKEN,
        CIRCLE_BUILD_URL="https://circleci.com/gh/acme/app/123",
        CIRCLE_SHA1=run_git("-C", str(build_context), "rev-parse", "HEAD").decode().strip(),
    )
    registry, _, image = str(image_repository).rpartition("/")
    images = tmp_path / "workspace" / "images"
    with GitHubStandIn(tmp_path / "github") as github:
        behind = GitBehind(github.add_repository("acme/manifests"))
        main = behind.commit("main", {PATH: ("100644", before.encode())})
        github.add_user("bot", TOKEN, {"acme/manifests": "write"})
        release = (
            *("create-release-pr", "--manifest-repository=acme/manifests", "--pin=both"),
            *(f"--github-api-url={github.api_url}", "--images-from", images),
        )

        built = program.run(
            *("build-and-push-image", "--registry", registry, "--image", image, "--tag=2.0.0"),
            *("--output", images / "app.json"),
        )
        first = program.run(*release, "--output", tmp_path / "release.json")
        written = len(github.writes)
        again = program.run(*release)

    digest = built.result.rpartition("@")[2]
    assert built.result == f"{image_repository}:2.0.0@{digest}"
    assert again.result == first.result
    assert first.result.endswith("/acme/manifests/pull/1")
    assert len(github.writes) == written
    assert github.violations == []
    assert set(behind.branches) == {"main", f"release-{image}-2.0.0"}
    commit = behind.commit_at(f"release-{image}-2.0.0")
    assert commit.parents == (main,)
    content = commit.files[PATH][1].decode()
    assert content.splitlines()[:6] == before.splitlines()[:6]
    assert content.splitlines()[-2:] == before.splitlines()[-2:]
    changed = [line for line in content.splitlines() if line not in before.splitlines()]
    assert changed == ['  newTag: "2.0.0"   # the last one', f"  digest: {digest}"]
    written_release = json.loads((tmp_path / "release.json").read_text())
    assert written_release["operation"] == "created"
    assert [edit["new"] for edit in written_release["files"][0]["edits"]] == ["2.0.0", digest]
    opened = next(request for request in github.writes if request.path.endswith("/pulls"))
    assert "https://circleci.com/gh/acme/app/123" in opened.body["body"]
