"""From a commit to a release at every cloud, as a user's job runs it: by its OIDC token alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.clouds.world import (
    ACR,
    ECR,
    GENERIC,
    GENERIC_LOGIN,
    PKG_DEV,
    ROLE,
    SERVICE_ACCOUNT,
    Clouds,
)
from tests.contract.git_behind import PERSON, GitBehind
from tests.contract.registry_contract import LISTS
from tests.integration.program import Ended, Program, forms, watched_command_lines
from tests.standins import box
from tests.standins.github import GitHubStandIn
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.standins.clouds.router import Router
    from tests.standins.dockerd import DockerClient, DockerDaemon

DOCKERFILE: Final = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "true"]\n'
KUSTOMIZATION: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
- name: {repository}
  newTag: "1.0.0"   # the last one
"""
PATH: Final = "production/kustomization.yaml"
GITHUB_TOKEN: Final = "bot-token-that-is-not-shown"
LIFECYCLE: Final = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        }
    ]
}


@pytest.fixture(scope="module")
def clouds(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds.running(tmp_path_factory.mktemp("clouds"), router) as running:
        yield running


@dataclass(frozen=True)
class Target:
    """Where an image goes, from where to where it is promoted, and how it is created there."""

    registry: str
    within: str  # another repository of this registry
    beyond: str  # another cloud
    creation: Sequence[str] = ()
    password: Mapping[str, str] = field(default_factory=dict)
    reading: Sequence[str] = ()  # what promotion to another cloud needs besides
    promoting: Mapping[str, str] = field(default_factory=dict)


GENERIC_PASSWORD: Final = {
    "DOCKER_LOGIN": GENERIC_LOGIN.username,
    "DOCKER_PASSWORD": GENERIC_LOGIN.password.reveal(),
}
SOURCE_PASSWORD: Final = {
    "SOURCE_LOGIN": GENERIC_LOGIN.username,
    "SOURCE_PASSWORD": GENERIC_LOGIN.password.reveal(),
}
TARGETS: Final = {
    "google": Target(
        registry=f"{PKG_DEV}/acme/shop",
        within=f"{PKG_DEV}/acme/shop/promoted",
        beyond=f"{ACR}/from-google/web",
        creation=("--create-repository", "--repository-immutable-tags"),
    ),
    "ecr": Target(
        registry=f"{ECR}/shop",
        within=f"{ECR}/shop/promoted",
        beyond=f"{PKG_DEV}/acme/mirror/from-ecr",
        creation=(
            *("--create-repository", "--repository-scan-on-push=on"),
            *("--repository-immutable-tags", "--repository-lifecycle-policy=lifecycle.json"),
        ),
    ),
    "acr": Target(
        registry=f"{ACR}/shop",
        within=f"{ACR}/shop/promoted",
        beyond=f"{ECR}/mirror/from-acr",
    ),
    "generic": Target(
        registry=f"{GENERIC}/shop",
        within=f"{GENERIC}/shop/promoted",
        beyond=f"{ACR}/from-generic/web",
        password=GENERIC_PASSWORD,
        reading=("--source-username-env=SOURCE_LOGIN", "--source-password-env=SOURCE_PASSWORD"),
        promoting=SOURCE_PASSWORD,
    ),
}


@dataclass
class Job:
    """A job of CircleCI in a checkout; it remembers how its commands ended."""

    program: Program
    identities: Sequence[str]
    runs: list[Ended] = field(default_factory=list)

    def run(self, *arguments: str | Path, **variables: str) -> str:
        """Run a command that must succeed; return its result."""
        program = self.program.with_variables(**variables)
        self.runs.append(program.run(*arguments, *self.identities))
        return self.runs[-1].result


@pytest.fixture
def job(
    clouds: Clouds,
    build_context: Path,
    docker_clients: Mapping[str, DockerClient],
    daemon: DockerDaemon,
    tmp_path: Path,
) -> Job:
    """Return a job at a commit, with its OIDC token and the program `circleci`."""
    (build_context / "Dockerfile").write_text(DOCKERFILE)
    (build_context / "lifecycle.json").write_text(json.dumps(LIFECYCLE))
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--message=Start"]):
        run_git("-C", str(build_context), *command, environment=PERSON)
    program = Program.at_home(build_context, tmp_path)
    environ = {**program.environ, **clouds.program_environment()}
    program = program.with_variables(
        **docker_clients["with-buildx"].environment(environ),
        **dict.fromkeys(box.BUNDLE_VARIABLES, str(box.BUNDLE)),
        DOCKER_HOST=daemon.host,
        CIRCLECI="true",
        CIRCLE_BUILD_URL="https://circleci.com/gh/acme/shop/123",
        CIRCLE_OIDC_TOKEN_V2=clouds.circleci.mint(),
        CIRCLE_SHA1=run_git("-C", str(build_context), "rev-parse", "HEAD").decode().strip(),
        CIRCLE_WORKFLOW_JOB_ID=clouds.circleci.job.job,
        GITHUB_TOKEN=GITHUB_TOKEN,
    )
    identities = (
        f"--gcp-workload-identity-provider={clouds.provider.resource}",
        f"--gcp-service-account={SERVICE_ACCOUNT}",
        f"--aws-role-arn={ROLE}",
        f"--azure-client-id={clouds.application.client_id}",
        f"--azure-tenant-id={clouds.application.tenant}",
    )
    return Job(program, identities)


@pytest.fixture(autouse=True, scope="module")
def mirrors(clouds: Clouds) -> None:
    """Create what is promoted to: promotion creates no repositories."""
    ecr = clouds.aws_client("ecr")
    for name in ("shop/promoted", "mirror/from-acr"):
        ecr.create_repository(repositoryName=name)
    clouds.create_google_repository("acme", "mirror")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_commit_is_built_described_promoted_and_released(
    kind: str, clouds: Clouds, job: Job, tmp_path: Path
) -> None:
    target = TARGETS[kind]
    repository = f"{target.registry}/web"
    images = tmp_path / "workspace" / "image.json"
    build = (
        *("build-and-push-image", "--registry", target.registry, "--image=web", "--tag=2.0.0"),
        *target.creation,
    )

    with watched_command_lines() as seen:
        pinned = job.run(*build, "--output", images, **target.password)
        built = len(clouds.changes)
        again = job.run(*build, **target.password)
        assert again == pinned
        assert "is reused" in job.runs[-1].stderr
        assert len(clouds.changes) == built

        describe = ("describe-image", "--image", f"{repository}:2.0.0", "--format=json")
        described = json.loads(job.run(*describe, **target.password))

        promote = ("promote-image", "--source", pinned, "--target")
        within = job.run(*promote, f"{target.within}:stable", **target.password)
        assert "copying" not in job.runs[-1].stderr  # its layers are mounted
        beyond = job.run(*promote, f"{target.beyond}:stable", *target.reading, **target.promoting)
        assert "copying" in job.runs[-1].stderr
        promoted = len(clouds.changes)
        assert job.run(*promote, f"{target.within}:stable", **target.password) == within
        assert beyond == job.run(
            *promote, f"{target.beyond}:stable", *target.reading, **target.promoting
        )
        assert len(clouds.changes) == promoted

        with GitHubStandIn(tmp_path / "github") as github:
            behind = GitBehind(github.add_repository("acme/manifests"))
            before = KUSTOMIZATION.format(repository=repository)
            behind.commit("main", {PATH: ("100644", before.encode())})
            github.add_user("bot", GITHUB_TOKEN, {"acme/manifests": "write"})
            release = (
                *("create-release-pr", "--manifest-repository=acme/manifests", "--pin=both"),
                *(f"--github-api-url={github.api_url}", "--images-from", images),
            )
            opened = job.run(*release, "--output", tmp_path / "release.json")
            written = len(github.writes)
            assert job.run(*release) == opened
            assert len(github.writes) == written
            assert github.violations == []

    digest = pinned.rpartition("@")[2]
    assert pinned == f"{repository}:2.0.0@{digest}"
    assert within == f"{target.within}:stable@{digest}"
    assert beyond == f"{target.beyond}:stable@{digest}"
    assert described["digest"] == digest
    assert described["reference"] == pinned
    commit = job.program.environ["CIRCLE_SHA1"]
    assert described["labels"]["org.opencontainers.image.revision"] == commit
    assert described["platforms"] == json.loads(images.read_text())["images"][0]["platforms"]
    content = behind.commit_at("release-web-2.0.0").files[PATH][1].decode()
    changed = [line for line in content.splitlines() if line not in before.splitlines()]
    assert changed == ['  newTag: "2.0.0"   # the last one', f"  digest: {digest}"]

    assert [request for request in clouds.requests if LISTS.search(request)] == []
    if target.creation:
        CREATED[kind](clouds)
    _assert_every_cloud_saw_its_own_tokens(clouds)
    _assert_nothing_is_shown(clouds, job, seen.showing, [images, tmp_path / "release.json"])


@pytest.mark.parametrize("kind", TARGETS)
def test_a_dry_run_by_nobody_assumes_what_it_cannot_read(kind: str, job: Job) -> None:
    nobody = job.program.with_variables(
        AWS_EC2_METADATA_DISABLED="true", NO_GCE_CHECK="true", CIRCLE_OIDC_TOKEN_V2=None
    )

    ended = nobody.run(
        *("build-and-push-image", "--registry", TARGETS[kind].registry, "--image=app", "--tag=1"),
        *("--dry-run", *TARGETS[kind].creation),
    )

    assert ended.result == f"{TARGETS[kind].registry}/app:1"
    assert "assumed: " in ended.stderr


def _ecr_is_as_it_was_wanted(clouds: Clouds) -> None:
    ecr = clouds.aws_client("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=["shop/web"])["repositories"]
    policy = ecr.get_lifecycle_policy(repositoryName="shop/web")["lifecyclePolicyText"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert json.loads(policy) == LIFECYCLE


def _google_is_as_it_was_wanted(clouds: Clouds) -> None:
    name = "projects/acme/locations/europe-west1/repositories/shop"
    assert clouds.artifacts.repositories[name].docker_config.immutable_tags


CREATED: Final = {"ecr": _ecr_is_as_it_was_wanted, "google": _google_is_as_it_was_wanted}


def _assert_every_cloud_saw_its_own_tokens(clouds: Clouds) -> None:
    """Assert that what was minted is for Azure, and that AWS saw the organization's token."""
    minted = {str(_claims(token)["aud"]) for token in clouds.circleci.minted}
    assert minted <= {"api://AzureADTokenExchange"}
    for assumed in clouds.aws.sessions:
        assert assumed.name == f"circleci-{clouds.circleci.job.job}"
        assert assumed.claims["aud"] == clouds.circleci.job.organization


def _claims(token: str) -> Mapping[str, object]:
    import jwt  # noqa: PLC0415

    claims: Mapping[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _assert_nothing_is_shown(
    clouds: Clouds, job: Job, in_command_lines: object, files: Sequence[Path]
) -> None:
    """Assert that no token, key or password was printed, written or put into a command line."""
    secrets = {
        *clouds.secrets(),
        *forms(GENERIC_LOGIN),
        job.program.environ["CIRCLE_OIDC_TOKEN_V2"],
        GITHUB_TOKEN,
    }
    assert len(secrets) > 10
    home = Path(job.program.environ["HOME"])
    left = [path for path in home.rglob("*") if path.is_file()]
    texts = [
        *(run.stdout + run.stderr for run in job.runs),
        *(path.read_text(errors="replace") for path in [*files, *left]),
    ]
    for secret in secrets:
        assert not [text for text in texts if secret in text]
        assert not in_command_lines(secret)  # type: ignore[operator]
    assert job.program.temporary == []
