"""Every kind of registry keeps the contract, by each of the identities that it takes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
import requests
from google.cloud.artifactregistry_v1 import types

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, ServiceError, UsageError
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.registries.connection import AwsIdentity, AzureIdentity, GoogleIdentity
from gitops_release.registries.google_paths import artifact_repository
from tests.clouds.world import (
    ACCOUNT,
    ACR,
    ADMIN,
    DUAL_STACK_ECR,
    ECR,
    ECR_PUBLIC,
    FOREIGN_ROLE,
    GCR,
    GENERIC,
    GENERIC_LOGIN,
    OTHER_ACCOUNT,
    OTHER_ECR,
    PKG_DEV,
    Clouds,
    CloudWorld,
    Who,
    admin_key,
    other_organization,
    other_project,
    service_account_key,
)
from tests.contract.registry_contract import LISTS, RegistryContract
from tests.standins.clouds.acr import NOBODY
from tests.standins.clouds.ecr import ApiError, alias_of
from tests.standins.clouds.oidc import foreign_key
from tests.standins.github.faults import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gitops_release.core.ports import Registry
    from gitops_release.registries.hosted import HostedRegistry
    from tests.contract.registry_contract import RegistryWorld
    from tests.standins.clouds.ecr import Key
    from tests.standins.clouds.router import Router
    from tests.standins.dockerd import DockerClient

LIFECYCLE: Final = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "untagged images go after two weeks",
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
)
ACCESS: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "pull",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }
        ],
    }
)
# As Google documents the file for `gcloud artifacts repositories set-cleanup-policies`.
CLEANUP: Final = json.dumps(
    [
        {
            "name": "delete-prerelease",
            "action": {"type": "Delete"},
            "condition": {"tagState": "tagged", "tagPrefixes": ["alpha"], "olderThan": "30d"},
        },
        {
            "name": "keep-minimum-versions",
            "action": {"type": "Keep"},
            "mostRecentVersions": {"packageNamePrefixes": ["web"], "keepCount": 5},
        },
    ]
)
ECR_KEY: Final = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
WITH_BUILDX: Final = "with-buildx"  # both clients push to one registry of each cloud
GOOGLE_KEY: Final = "projects/acme/locations/europe-west1/keyRings/images/cryptoKeys/web"


@pytest.fixture(scope="module")
def clouds(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    """Return all clouds; nobody has listed anything when the last test has run."""
    with Clouds.running(tmp_path_factory.mktemp("clouds"), router) as running:
        yield running
        assert [request for request in running.requests if LISTS.search(request)] == []


@pytest.fixture
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have no identity of its own at any cloud, and the SDKs know that at once."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


class CloudContract(RegistryContract):
    """What a cloud's registry promises to who comes with an OIDC token, and to others."""

    @pytest.fixture
    def strangers(self, world: CloudWorld, no_machine: None) -> Mapping[str, Registry]:
        del no_machine
        mint, job = world.clouds.circleci.mint, world.clouds.circleci.job
        audience = self.audience(world)
        tokens = {
            "another audience": mint("somebody-elses-audience"),
            "another project": mint(audience, job=other_project(job)),
            "another organization": mint(audience, job=other_organization(job)),
            "a token that has expired": mint(audience, expires_in=-600),
            "a token that nobody signed": mint(audience, key=foreign_key()),
        }
        strangers = {
            name: world.client(world.clouds.somebody(token)) for name, token in tokens.items()
        }
        return {"nobody": world.client(None), **strangers, **self.others(world)}

    def others(self, world: CloudWorld) -> Mapping[str, Registry]:
        """Return more strangers, of this cloud's own."""
        del world
        return {}

    def audience(self, world: CloudWorld) -> str | None:
        """Return the audience of the tokens that this cloud trusts."""
        del world
        return None

    def requests(self, world: RegistryWorld) -> Sequence[str]:
        assert isinstance(world, CloudWorld)
        return world.clouds.requests

    def check_credentials(self, world: RegistryWorld, credentials: Credentials | None) -> None:
        """Assert that they are new, age, and are taken by the registry."""
        assert isinstance(world, CloudWorld)
        assert credentials is not None
        assert credentials.username == self.user
        assert credentials.expires_at is not None
        assert credentials.password.reveal() in world.clouds.secrets()
        assert credentials != world.client(world.login).credentials()

    user = ""


class GoogleContract(CloudContract):
    creates_on_push = False
    user = "oauth2accesstoken"
    settings = RepositorySettings(
        immutable_tags=True,
        scan_on_push=False,
        kms_key=GOOGLE_KEY,
        tags=(("cost-center", "42"), ("team", "shop")),
        lifecycle_policy=CLEANUP,
    )
    lacking: ClassVar = {
        "an access policy": RepositorySettings(access_policy=ACCESS),
        "tag filters": RepositorySettings(mutable_tag_filters=("latest*",)),
    }
    host = PKG_DEV

    @pytest.fixture
    def world(self, clouds: Clouds) -> CloudWorld:
        return CloudWorld(clouds, clouds.google_repository(self.host), clouds.job)

    @pytest.fixture
    def missing(self, world: CloudWorld) -> Repository:
        project = world.repository.path.partition("/")[0]
        return Repository(self.host, f"{project}-2/missing/web")

    def settings_of(self, world: RegistryWorld, repository: Repository) -> RepositorySettings:
        assert isinstance(world, CloudWorld)
        found = self.found(world, repository)
        scanning = types.Repository.VulnerabilityScanningConfig.EnablementConfig
        return RepositorySettings(
            immutable_tags=found.docker_config.immutable_tags,
            scan_on_push={scanning.DISABLED: False, scanning.INHERITED: True}.get(
                found.vulnerability_scanning_config.enablement_config
            ),
            kms_key=found.kms_key_name or None,
            tags=tuple(sorted(found.labels.items())),
            lifecycle_policy=_as_gcloud_has_them(found.cleanup_policies),
        )

    def found(self, world: CloudWorld, repository: Repository) -> types.Repository:
        return world.clouds.artifacts.repositories[artifact_repository(repository).path]

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        assert isinstance(world, CloudWorld)
        self.found(world, image.repository).docker_config.immutable_tags = True
        return True

    @contextmanager
    def expiring(self, world: RegistryWorld) -> Iterator[list[str]]:
        assert isinstance(world, CloudWorld)
        artifacts, google = world.clouds.artifacts, world.clouds.google

        def expire() -> None:
            google.expire()
            artifacts.data.tokens.expire()

        with world.clouds.expiring(artifacts.data, expire) as noted:
            yield noted


class TestArtifactRegistry(GoogleContract):
    def test_scanning_that_is_wanted_is_the_projects(self, world: CloudWorld) -> None:
        wanted = RepositorySettings(scan_on_push=True)
        missing = Repository(PKG_DEV, f"{world.repository.path.partition('/')[0]}/scanned/web")

        world.client(world.login).create_repository(missing, wanted)

        assert self.settings_of(world, missing) == dataclasses.replace(wanted)


class TestGcr(GoogleContract):
    host = GCR

    @pytest.fixture
    def docker_client(self, docker_clients: Mapping[str, DockerClient]) -> DockerClient:
        return docker_clients[WITH_BUILDX]

    def test_the_repository_is_named_after_the_host(
        self, world: CloudWorld, missing: Repository
    ) -> None:
        world.client(world.login).create_repository(missing, RepositorySettings())

        project = missing.path.partition("/")[0]
        created = f"projects/{project}/locations/asia/repositories/asia.gcr.io"
        assert created in world.clouds.artifacts.repositories


class TestEcr(CloudContract):
    creates_on_push = False
    user = "AWS"
    settings = RepositorySettings(
        immutable_tags=True,
        mutable_tag_filters=("latest*", "main-*"),
        scan_on_push=True,
        kms_key=ECR_KEY,
        tags=(("cost-center", "42"), ("team", "shop")),
        lifecycle_policy=LIFECYCLE,
        access_policy=ACCESS,
    )
    lacking: ClassVar = {"immutable tags": RepositorySettings(mutable_tag_filters=("latest*",))}

    @pytest.fixture
    def world(self, clouds: Clouds) -> CloudWorld:
        return CloudWorld(clouds, clouds.ecr_repository(), clouds.job)

    def others(self, world: CloudWorld) -> Mapping[str, Registry]:
        job = world.clouds.job
        elsewhere = dataclasses.replace(
            job, aws=dataclasses.replace(job.aws, role_arn=FOREIGN_ROLE)
        )
        other = dataclasses.replace(job, aws=admin_key(world.clouds, OTHER_ACCOUNT))
        return {
            "a role that does not trust the project": world.client(elsewhere),
            "another account": world.client(other),
        }

    def settings_of(self, world: RegistryWorld, repository: Repository) -> RepositorySettings:
        assert isinstance(world, CloudWorld)
        ecr, name = world.clouds.aws_client("ecr"), {"repositoryName": repository.path}
        (found,) = ecr.describe_repositories(repositoryNames=[repository.path])["repositories"]
        tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
        filters = found.get("imageTagMutabilityExclusionFilters") or []
        assert {one["filterType"] for one in filters} <= {"WILDCARD"}
        return RepositorySettings(
            immutable_tags=found["imageTagMutability"].startswith("IMMUTABLE"),
            mutable_tag_filters=tuple(one["filter"] for one in filters),
            scan_on_push=found["imageScanningConfiguration"]["scanOnPush"] or None,
            kms_key=found["encryptionConfiguration"].get("kmsKey"),
            tags=tuple(sorted((tag["Key"], tag["Value"]) for tag in tags)),
            lifecycle_policy=_policy(ecr.get_lifecycle_policy, "lifecyclePolicyText", name),
            access_policy=_policy(ecr.get_repository_policy, "policyText", name),
        )

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        assert isinstance(world, CloudWorld)
        world.clouds.aws_client("ecr").put_image_tag_mutability(
            repositoryName=image.repository.path, imageTagMutability="IMMUTABLE"
        )
        return True

    @contextmanager
    def expiring(self, world: RegistryWorld) -> Iterator[list[str]]:
        assert isinstance(world, CloudWorld)
        aws = world.clouds.aws
        with world.clouds.expiring(aws.data, aws.expire_passwords) as noted:
            yield noted

    def test_the_filters_leave_some_tags_mutable(
        self, world: CloudWorld, missing: Repository
    ) -> None:
        registry = world.client(world.login)
        registry.create_repository(missing, self.settings)
        there = dataclasses.replace(world, repository=missing)
        first = there.push(["1.0", "latest"], {"build": "1"}, ["linux/amd64"])
        second = there.push(["2.0"], {"build": "2"}, ["linux/amd64"])

        registry.add_tags(missing, second.digest, ["latest"])

        assert registry.describe(ImageReference(missing, "latest")) == second
        assert registry.describe(ImageReference(missing, "1.0")) == first

    def test_scan_findings_are_counted(self, world: CloudWorld, missing: Repository) -> None:
        registry = world.client(world.login)
        registry.create_repository(missing, self.settings)
        there = dataclasses.replace(world, repository=missing)
        scanned = there.push(["1.0"], {}, ["linux/amd64"])
        unscanned = world.push(["1.0"], {}, ["linux/amd64"])

        findings = registry.findings(ImageReference(missing, digest=scanned.digest))
        none = registry.findings(ImageReference(world.repository, digest=unscanned.digest))

        assert findings
        assert none is None

    def test_the_dual_stack_name_means_the_same_images(self, world: CloudWorld) -> None:
        pushed = world.push(["1.0"], {}, ["linux/amd64"])
        repository = Repository(DUAL_STACK_ECR, world.repository.path)
        before = len(world.clouds.router.connections)

        registry = world.clouds.registry(DUAL_STACK_ECR, world.login)

        assert registry.describe(ImageReference(repository, "1.0")) == pushed
        assert registry.repository_exists(repository)
        assert "ecr.eu-west-1.api.aws" in world.clouds.router.connections[before:]

    def test_another_accounts_registry_is_used_once_it_is_shared(self, clouds: Clouds) -> None:
        repository = clouds.ecr_repository(OTHER_ECR, OTHER_ACCOUNT)
        world = CloudWorld(clouds, repository, clouds.job)
        registry = world.client(world.login)
        with pytest.raises(AuthenticationError, match="not authorized"):
            registry.repository_exists(repository)

        clouds.aws.share(ACCOUNT, OTHER_ACCOUNT)
        try:
            pushed = world.push(["1.0"], {}, ["linux/amd64"])
            assert registry.repository_exists(repository)
            assert registry.describe(ImageReference(repository, "1.0")) == pushed
        finally:
            clouds.aws.shared.clear()


class TestEcrPublic(CloudContract):
    creates_on_push = False
    user = "AWS"
    settings = RepositorySettings(tags=(("team", "shop"),))
    lacking: ClassVar = {
        "immutable tags": RepositorySettings(immutable_tags=True),
        "tag filters": RepositorySettings(mutable_tag_filters=("latest*",)),
        "scanning": RepositorySettings(scan_on_push=True),
        "KMS key": RepositorySettings(kms_key=ECR_KEY),
        "lifecycle policy": RepositorySettings(lifecycle_policy=LIFECYCLE),
        "access policy": RepositorySettings(access_policy=ACCESS),
    }

    @pytest.fixture
    def docker_client(self, docker_clients: Mapping[str, DockerClient]) -> DockerClient:
        return docker_clients[WITH_BUILDX]

    @pytest.fixture
    def world(self, clouds: Clouds) -> CloudWorld:
        return CloudWorld(clouds, clouds.public_repository(), clouds.job)

    def settings_of(self, world: RegistryWorld, repository: Repository) -> RepositorySettings:
        """Return what creators have asked for: the stand-in remembers no settings."""
        assert isinstance(world, CloudWorld)
        name = repository.path.partition("/")[2]
        assert name in world.clouds.aws.public
        wanted = [
            request
            for request in world.clouds.public_requests
            if request["action"] == "CreateRepository" and request["repositoryName"] == name
        ]
        tags = wanted[0].get("tags", [])
        return RepositorySettings(tags=tuple((tag["Key"], tag["Value"]) for tag in tags))

    @contextmanager
    def expiring(self, world: RegistryWorld) -> Iterator[list[str]]:
        assert isinstance(world, CloudWorld)
        aws = world.clouds.aws
        with world.clouds.expiring(aws.public_data, aws.expire_passwords) as noted:
            yield noted

    def test_a_name_without_an_alias_is_refused(self, clouds: Clouds) -> None:
        registry = clouds.registry(ECR_PUBLIC, clouds.job)

        with pytest.raises(UsageError, match="ALIAS/NAME"):
            registry.repository_exists(Repository(ECR_PUBLIC, "web"))

    def test_the_api_knows_names_without_the_alias(
        self, world: CloudWorld, missing: Repository
    ) -> None:
        world.client(world.login).create_repository(missing, RepositorySettings())

        assert missing.path.removeprefix(f"{alias_of(ACCOUNT)}/") in world.clouds.aws.public


class TestAcr(CloudContract):
    user = NOBODY

    @pytest.fixture
    def world(self, clouds: Clouds) -> CloudWorld:
        return CloudWorld(clouds, clouds.acr_repository(), clouds.job)

    def audience(self, world: CloudWorld) -> str | None:
        del world
        return "api://AzureADTokenExchange"

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        """Lock a tag, as `az acr repository update --write-enabled false` does."""
        assert isinstance(world, CloudWorld)
        path = image.repository.path
        asked = requests.get(
            f"https://{ACR}/oauth2/token?service={ACR}&scope=repository:{path}:metadata_write",
            auth=ADMIN,
            timeout=10,
        )
        locked = requests.patch(
            f"https://{ACR}/acr/v1/{path}/_tags/{image.tag}",
            json={"writeEnabled": False},
            headers={"Authorization": f"Bearer {asked.json()['access_token']}"},
            timeout=10,
        )
        assert locked.status_code == 200, locked.text
        world.clouds.acr.requests[:] = [
            request for request in world.clouds.acr.requests if request.method != "PATCH"
        ]
        return True

    @contextmanager
    def expiring(self, world: RegistryWorld) -> Iterator[list[str]]:
        assert isinstance(world, CloudWorld)
        acr = world.clouds.acr

        def expire() -> None:
            acr.refresh_tokens.expire()
            acr.tokens.expire()

        with world.clouds.expiring(acr, expire) as noted:
            yield noted


class TestGenericRegistry(RegistryContract):
    @pytest.fixture
    def docker_client(self, docker_clients: Mapping[str, DockerClient]) -> DockerClient:
        return docker_clients[WITH_BUILDX]

    @pytest.fixture
    def world(self, clouds: Clouds) -> GenericWorld:
        return GenericWorld(clouds, clouds.generic_repository(), Who())

    def requests(self, world: RegistryWorld) -> Sequence[str]:
        assert isinstance(world, CloudWorld)
        return world.clouds.requests

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        assert isinstance(world, CloudWorld)
        world.clouds.immutable.add((image.repository.path, image.tag or ""))
        return True


class GenericWorld(CloudWorld):
    """The registry of no cloud: who comes has a user name and a password."""

    def __init__(self, clouds: Clouds, repository: Repository, _: Who) -> None:
        super().__init__(clouds, repository, GENERIC_LOGIN)  # type: ignore[arg-type]

    def client(self, login: Any) -> HostedRegistry:  # noqa: ANN401 - as the contract has it
        return self.clouds.registry(GENERIC, Who(credentials=lambda: login))


def _as_gcloud_has_them(policies: Mapping[str, types.CleanupPolicy]) -> str | None:
    """Return clean-up policies as the file of gcloud has them, if they are those of ours."""
    if not policies:
        return None
    document: list[dict[str, Any]] = []
    for policy in policies.values():
        found: dict[str, Any] = {
            "name": policy.id,
            "action": {"type": types.CleanupPolicy.Action(policy.action).name.capitalize()},
        }
        if policy.condition:
            condition = policy.condition
            state = types.CleanupPolicyCondition.TagState(condition.tag_state)
            found["condition"] = {
                "tagState": state.name.lower(),
                "tagPrefixes": list(condition.tag_prefixes),
                "olderThan": f"{condition.older_than.days}d",
            }
        if policy.most_recent_versions:
            versions = policy.most_recent_versions
            found["mostRecentVersions"] = {
                "packageNamePrefixes": list(versions.package_name_prefixes),
                "keepCount": versions.keep_count,
            }
        document.append(found)
    return json.dumps(sorted(document, key=lambda one: str(one["name"])))


def _policy(call: Callable[..., Any], member: str, name: Mapping[str, str]) -> str | None:
    try:
        text: str = call(**name)[member]
    except call.__self__.exceptions.ClientError:
        return None
    return text


# Who one can be


def google_key(clouds: Clouds) -> Who:
    key = Secret(service_account_key(clouds))
    return Who(google=GoogleIdentity(service_account_key=key))


def google_key_in_base64(clouds: Clouds) -> Who:
    key = b64encode(service_account_key(clouds).encode()).decode()
    return Who(google=GoogleIdentity(service_account_key=Secret(key)))


def aws_keys(clouds: Clouds) -> Who:
    return Who(aws=admin_key(clouds))


def azure_secret(clouds: Clouds) -> Who:
    azure = AzureIdentity(
        client_id=clouds.application.client_id,
        tenant_id=clouds.application.tenant,
        client_secret=Secret(clouds.application_secret),
    )
    return Who(azure=azure)


def azure_admin(_: Clouds) -> Who:
    return Who(password=lambda: Credentials(ADMIN[0], Secret(ADMIN[1])))


@pytest.mark.parametrize(
    ("host", "who"),
    [
        (PKG_DEV, google_key),
        (PKG_DEV, google_key_in_base64),
        (ECR, aws_keys),
        (ECR_PUBLIC, aws_keys),
        (ACR, azure_secret),
        (ACR, azure_admin),
    ],
)
def test_keys_and_secrets_are_taken_as_well(
    clouds: Clouds, host: str, who: Callable[[Clouds], Who]
) -> None:
    world = CloudWorld(clouds, new_repository(clouds, host), who(clouds))
    minted = len(clouds.circleci.minted)

    pushed = world.push(["1.0"], {}, ["linux/amd64"])

    found = world.client(world.login).describe(ImageReference(world.repository, "1.0"))
    assert found == pushed
    assert len(clouds.circleci.minted) == minted


def test_application_default_credentials_are_taken_when_nothing_is_given(
    clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "application_default_credentials.json"
    file.write_text(service_account_key(clouds))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    world = CloudWorld(clouds, clouds.google_repository(), Who())

    pushed = world.push(["1.0"], {}, ["linux/amd64"])

    found = world.client(world.login).describe(ImageReference(world.repository, "1.0"))
    assert found == pushed


def test_a_profile_of_aws_is_taken(
    clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = clouds.aws.add_key(ACCOUNT)
    file = tmp_path / "credentials"
    file.write_text(
        f"[release]\naws_access_key_id = {key.access_key_id}\n"
        f"aws_secret_access_key = {key.secret_access_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    repository = clouds.ecr_repository()

    registry = clouds.registry(ECR, Who(aws=AwsIdentity(profile="release")))

    assert registry.repository_exists(repository)
    with pytest.raises(AuthenticationError, match="nobody"):
        clouds.registry(ECR, Who(aws=AwsIdentity(profile="nobody"))).credentials()


@pytest.mark.parametrize("host", [PKG_DEV, ACR])
def test_one_who_may_read_only_reads_and_is_told_what_is_missing(clouds: Clouds, host: str) -> None:
    world = CloudWorld(clouds, new_repository(clouds, host), clouds.job)
    pushed = world.push(["1.0"], {}, ["linux/amd64"])
    reader = world.client(clouds.reader)

    assert reader.describe(ImageReference(world.repository, "1.0")) == pushed
    with pytest.raises(AuthenticationError):
        reader.add_tags(world.repository, pushed.digest, ["2.0"])


def test_one_who_may_not_create_repositories_is_told_what_is_missing(clouds: Clouds) -> None:
    key = clouds.aws.add_key(ACCOUNT)
    key.denied.add("ecr:CreateRepository")
    keys = AwsIdentity(access_key_id=key.access_key_id, secret_access_key=_secret_of(key))
    at_aws = clouds.registry(ECR, Who(aws=keys))
    at_google = clouds.registry(PKG_DEV, clouds.reader)

    with pytest.raises(AuthenticationError, match="ecr:CreateRepository"):
        at_aws.create_repository(Repository(ECR, "not-mine"), RepositorySettings())
    with pytest.raises(AuthenticationError, match=r"repositories\.create") as denied:
        at_google.create_repository(Repository(PKG_DEV, "a/b/c"), RepositorySettings())

    assert "roles/artifactregistry.admin" in (denied.value.hint or "")


# Who one cannot be

AUDIENCES: Final = {ACR: "api://AzureADTokenExchange"}


@pytest.mark.parametrize(
    ("host", "wrong", "words", "hint"),
    [
        (PKG_DEV, "expired", "is stale to sign-in", "attribute condition"),
        (PKG_DEV, "audience", "does not match the expected audience", "attribute condition"),
        (PKG_DEV, "subject", "rejected by the attribute condition", "attribute condition"),
        (ECR, "expired", "Token expired", "trust policy"),
        (ECR, "audience", "Incorrect token audience", "trust policy"),
        (ECR, "subject", "Not authorized to perform sts:AssumeRole", "trust policy"),
        (ECR_PUBLIC, "expired", "Token expired", "trust policy"),
        (ACR, "expired", "not within its valid time range", "subject and audience exactly"),
        (ACR, "audience", "AADSTS700212", "subject and audience exactly"),
        (ACR, "subject", "AADSTS700213", "subject and audience exactly"),
    ],
)
def test_a_wrong_token_is_refused_in_the_clouds_words_with_what_to_check(
    clouds: Clouds, host: str, wrong: str, words: str, hint: str
) -> None:
    mint, audience = clouds.circleci.mint, AUDIENCES.get(host)
    token = {
        "expired": lambda: mint(audience, expires_in=-600),
        "audience": lambda: mint("somebody-elses-audience"),
        "subject": lambda: mint(audience, job=other_project(clouds.circleci.job)),
    }[wrong]()
    clouds.waits.clear()

    with pytest.raises(AuthenticationError, match=words) as refused:
        clouds.registry(host, clouds.somebody(token)).credentials()

    assert refused.value.exit_code == 3
    assert hint in (refused.value.hint or "")
    assert token not in f"{refused.value} {refused.value.hint}"
    assert clouds.waits == []


def test_a_job_without_a_token_is_told_where_there_are_some(clouds: Clouds) -> None:
    expired = clouds.circleci.mint(expires_in=-600)
    for token in ("", expired):
        source = clouds.tokens(token)
        source.processes.environ["PATH"] = "/nowhere"  # type: ignore[index]
        with pytest.raises(AuthenticationError, match="valid now") as refused:
            source.token(None)
        with pytest.raises(AuthenticationError, match="mint an OIDC token for api://x"):
            source.token("api://x")

        assert "context" in (refused.value.hint or "")
        assert expired not in str(refused.value)


def test_a_token_that_is_about_to_end_is_minted_anew(clouds: Clouds) -> None:
    ending = clouds.circleci.mint(expires_in=30)
    lasting = clouds.circleci.mint(expires_in=300)
    before = len(clouds.circleci.minted)

    assert clouds.tokens(lasting).token(None).reveal() == lasting
    token = clouds.tokens(ending).token(None)

    assert [token.reveal()] == clouds.circleci.minted[before:]


@pytest.mark.parametrize("reply", [Reply(500, "no token"), Reply(200, "")])
def test_circleci_is_asked_again_for_a_token(clouds: Clouds, reply: Reply) -> None:
    clouds.circleci.faults.add(Fault("POST", "/agent/mint", reply))
    clouds.waits.clear()

    token = clouds.tokens("").token("api://x")

    assert token.reveal() == clouds.circleci.minted[-1]
    assert len(clouds.waits) == 1


@pytest.mark.parametrize("kind", ["external_account", "authorized_user", None])
def test_a_key_that_says_where_to_send_tokens_is_refused(clouds: Clouds, kind: str | None) -> None:
    document = {
        "type": kind,
        "audience": clouds.provider.audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://evil.test/token",
        "credential_source": {"file": "/etc/hostname"},
    }
    key = Secret(json.dumps(document))
    before = len(clouds.router.connections), len(clouds.router.refused)

    with pytest.raises(AuthenticationError, match="type service_account"):
        clouds.registry(PKG_DEV, Who(google=GoogleIdentity(service_account_key=key))).credentials()

    assert before == (len(clouds.router.connections), len(clouds.router.refused))


def test_a_key_that_is_none_is_refused_without_being_shown(clouds: Clouds) -> None:
    for text in ("c4nary-that-is-no-key", "{c4nary", b64encode(b"c4nary").decode()):
        google = GoogleIdentity(service_account_key=Secret(text))
        with pytest.raises(AuthenticationError, match="as JSON or base64 of it") as refused:
            clouds.registry(PKG_DEV, Who(google=google)).credentials()

        assert "--gcp-service-account-key-env" in (refused.value.hint or "")
        assert text not in f"{refused.value} {refused.value.hint}"


# What a cloud does not take


def test_settings_that_aws_does_not_take_are_the_requests_fault(clouds: Clouds) -> None:
    registry = clouds.registry(ECR, clouds.job)
    unread = Repository(ECR, "shop/unread")
    for policy in ("lifecycle_policy", "access_policy"):
        wrong = RepositorySettings(**{policy: "no JSON at all " * 10})
        with pytest.raises(UsageError, match="policy as JSON"):
            registry.create_repository(unread, wrong)
    assert not registry.repository_exists(unread)
    with pytest.raises(UsageError, match="Invalid length for parameter lifecyclePolicyText"):
        registry.create_repository(
            Repository(ECR, "shop/short"), RepositorySettings(lifecycle_policy="{}")
        )
    clouds.aws.fail("CreateRepository", ApiError("KmsException", "The key is disabled"))
    with pytest.raises(UsageError, match="The key is disabled"):
        registry.create_repository(Repository(ECR, "shop/no-key"), RepositorySettings())


def test_settings_that_google_does_not_take_are_the_requests_fault(clouds: Clouds) -> None:
    registry = clouds.registry(PKG_DEV, clouds.job)

    with pytest.raises(UsageError, match="invalid argument"):
        registry.create_repository(Repository(PKG_DEV, "acme/1shop/web"), RepositorySettings())
    for policies in ("{}", "[{}]", "no JSON", '[{"name": "a", "action": "Burn"}]'):
        wrong = RepositorySettings(lifecycle_policy=policies)
        with pytest.raises(UsageError, match="clean-up policies"):
            registry.create_repository(Repository(PKG_DEV, "acme/wrong/web"), wrong)

    assert not registry.repository_exists(Repository(PKG_DEV, "acme/wrong/web"))


# Clouds that stumble


def test_aws_that_cannot_get_the_issuers_keys_is_asked_again(clouds: Clouds) -> None:
    words = (
        "Couldn't retrieve verification key from your identity provider, please reference "
        "AssumeRoleWithWebIdentity documentation for requirements"
    )
    clouds.aws.fail("AssumeRoleWithWebIdentity", ApiError("InvalidIdentityToken", words))
    clouds.waits.clear()

    assert clouds.registry(ECR, clouds.job).credentials() is not None

    assert len(clouds.waits) == 1
    assert "retrieve verification key" in clouds.waits[0]


def test_aws_that_does_not_know_the_issuer_is_not_asked_again(clouds: Clouds) -> None:
    words = "No OpenIDConnect provider found in your account for https://oidc.circleci.com/org/x"
    clouds.aws.fail("AssumeRoleWithWebIdentity", ApiError("InvalidIdentityToken", words))
    before = clouds.aws.calls.count("AssumeRoleWithWebIdentity")

    with pytest.raises(AuthenticationError, match="No OpenIDConnect provider"):
        clouds.registry(ECR, clouds.job).credentials()

    assert clouds.aws.calls.count("AssumeRoleWithWebIdentity") == before + 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/token"),
        ("POST", "/v1/projects/-/serviceAccounts/.*"),
    ],
)
@pytest.mark.parametrize("status", [503, 500, 429])
def test_google_that_is_overloaded_is_asked_again(
    clouds: Clouds, method: str, path: str, status: int
) -> None:
    error = {"error": {"code": status, "message": "Try again.", "status": "UNAVAILABLE"}}
    clouds.google.faults.add(Fault(method, path, Reply(status, error)))
    clouds.waits.clear()

    assert clouds.registry(PKG_DEV, clouds.job).credentials() is not None

    assert len(clouds.waits) <= 1  # google-auth repeats some of them by itself


def test_digits_in_googles_words_are_no_status(clouds: Clouds) -> None:
    error = {"error": "invalid_grant", "error_description": "ID Token issued at 1500429503"}
    clouds.google.faults.add(Fault("POST", "/v1/token", Reply(400, error)))
    clouds.waits.clear()

    with pytest.raises(AuthenticationError, match="1500429503"):
        clouds.registry(PKG_DEV, clouds.job).credentials()

    assert clouds.waits == []


def test_an_impersonation_that_nobody_allowed_is_told_in_googles_words(clouds: Clouds) -> None:
    stranger = dataclasses.replace(
        clouds.job.google, service_account="other@acme-shop.iam.gserviceaccount.com"
    )
    who = dataclasses.replace(clouds.job, google=stranger)

    with pytest.raises(AuthenticationError, match=r"serviceAccounts\.getAccessToken") as refused:
        clouds.registry(PKG_DEV, who).credentials()

    assert "roles/iam.workloadIdentityUser" in (refused.value.hint or "")


def test_an_api_that_is_overloaded_is_asked_again(clouds: Clouds) -> None:
    at_google, at_aws = clouds.google_repository(), clouds.ecr_repository()
    clouds.artifacts.api.faults.add(
        Fault("GET", "/v1/projects/.*", Reply(503, {"error": {"message": "Try again."}}))
    )
    clouds.aws.fail("DescribeRepositories", ApiError("ThrottlingException", "Rate exceeded"))

    assert clouds.registry(PKG_DEV, clouds.job).repository_exists(at_google)
    assert clouds.registry(ECR, clouds.job).repository_exists(at_aws)


def test_azure_that_throttles_is_asked_again_when_it_says(clouds: Clouds) -> None:
    reply = Reply(429, {"errors": [{"code": "TOOMANYREQUESTS"}]}, {"Retry-After": "1"})
    clouds.acr.faults.add(Fault("POST", "/oauth2/exchange", reply))
    path = f"/{clouds.application.tenant}/oauth2/v2.0/token"
    clouds.entra.faults.add(Fault("POST", path, Reply(429, None, {"Retry-After": "0"})))
    clouds.waits.clear()

    assert clouds.registry(ACR, clouds.job).credentials() is not None

    (wait,) = clouds.waits
    assert "HTTP 429" in wait
    assert wait.endswith("trying again in 1 s")


@pytest.mark.parametrize("host", [PKG_DEV, ECR, ACR])
def test_a_cloud_that_stays_down_is_a_failure_of_the_service(clouds: Clouds, host: str) -> None:
    faults = {
        PKG_DEV: (clouds.google, "/v1/token"),
        ECR: (clouds.aws.control, "/"),
        ACR: (clouds.acr, "/oauth2/exchange"),
    }
    front, path = faults[host]
    front.faults.add(Fault("POST", path, Reply(503, "down", {"Retry-After": "0"}), times=100))
    try:
        with pytest.raises(ServiceError) as failed:
            clouds.registry(host, clouds.job).credentials()
    finally:
        while front.faults.take("POST", path):
            pass

    assert failed.value.exit_code == 5


# What is not installed


@pytest.mark.parametrize(
    ("host", "package", "extra"),
    [
        (PKG_DEV, "google", "google"),
        ("gcr.io", "google", "google"),
        (ECR, "boto3", "ecr"),
        (ECR_PUBLIC, "botocore", "ecr"),
        (ACR, "azure", "acr"),
    ],
)
def test_a_missing_extra_is_named_with_the_line_that_installs_it(
    host: str, package: str, extra: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package=package, image=f"{host}/a/b/c:1")],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert f"pip install 'gitops-release[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_extra_is_missed_by_its_registry_alone(clouds: Clouds) -> None:
    del clouds  # registry.example.test answers
    script = WITHOUT.format(package="boto3", image=f"{GENERIC}/a/b:1")
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=60
    )

    assert ended.returncode == 3, ended.stderr
    assert "wants a user name and a password" in ended.stderr


WITHOUT: Final = """\
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())
from gitops_release.cli.main import run

sys.exit(run(["describe-image", "--image", {image!r}]))
"""


def new_repository(clouds: Clouds, host: str) -> Repository:
    """Return a repository of a host that is there, as far as it must be."""
    makers: dict[str, Callable[[], Repository]] = {
        PKG_DEV: clouds.google_repository,
        ECR: clouds.ecr_repository,
        ECR_PUBLIC: clouds.public_repository,
        ACR: clouds.acr_repository,
    }
    return makers[host]()


def _secret_of(key: Key) -> Secret:
    return Secret(key.secret_access_key)
