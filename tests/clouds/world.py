"""All clouds at once, under their own names, and what one job of CircleCI may do there.

The job's organization is trusted by a workload identity pool of Google, a role of AWS and an
application of Entra; each of them may push and create repositories. Beside them are those who may
not: a reader at every cloud, and jobs of other projects and organizations.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import json
import os
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import boto3
import requests
from google.cloud.artifactregistry_v1 import types

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.image import Repository
from gitops_release.registries.challenge import Bearer, parse_challenge
from gitops_release.registries.connection import (
    AwsIdentity,
    AzureIdentity,
    Connection,
    GoogleIdentity,
    Identities,
    anonymous,
)
from gitops_release.registries.kinds import registry_for
from gitops_release.system.http import HttpClient
from gitops_release.system.oidc import CircleCITokens
from gitops_release.system.processes import Processes
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.contract.oci_push import OciPush
from tests.standins.clouds.acr import Acr
from tests.standins.clouds.artifact_registry import PERMISSIONS, ArtifactRegistry
from tests.standins.clouds.ecr import Aws, PublicRepository, alias_of
from tests.standins.clouds.entra import Application, Entra, FederatedCredential
from tests.standins.clouds.fronts import (
    Access,
    BasicFront,
    Front,
    Login,
    Manifest,
    Refused,
    Rules,
    Scope,
    registries,
)
from tests.standins.clouds.google_sts import Google, Provider
from tests.standins.clouds.oidc import CircleCI, Job
from tests.standins.github.faults import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gitops_release.core.credentials import CredentialSupplier
    from gitops_release.core.ports import TokenSource
    from gitops_release.core.publishing import ImageDescription
    from gitops_release.registries.hosted import HostedRegistry
    from tests.standins.clouds.fronts import RegistryFront
    from tests.standins.clouds.router import Router

ACCOUNT: Final = "123456789012"
OTHER_ACCOUNT: Final = "210987654321"
REGION: Final = "eu-west-1"
PKG_DEV: Final = "europe-west1-docker.pkg.dev"
GCR: Final = "asia.gcr.io"
ECR: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
OTHER_ECR: Final = f"{OTHER_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DUAL_STACK_ECR: Final = f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws"
ECR_PUBLIC: Final = "public.ecr.aws"
# A registry of Azure has at least five letters in its name.
ACR: Final = "other.azurecr.io"
GENERIC: Final = "registry.example.test"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/release"
FOREIGN_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/somebody-elses"
SERVICE_ACCOUNT: Final = "release@acme-shop.iam.gserviceaccount.com"
PROJECT_CLAIM: Final = "oidc.circleci.com/project-id"
ADMIN: Final = ("acme", "admin/password+of=acme")
GENERIC_LOGIN: Final = Credentials("robot", Secret("c4nary/of+the=generic-registry"))
ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Given:
    """A token source that gives one token whatever the audience."""

    text: str

    def token(self, audience: str | None) -> Secret:
        del audience
        return Secret(self.text)


@dataclass(frozen=True)
class Who:
    """Who somebody is at each cloud; nothing given is nobody there."""

    tokens: TokenSource = field(default_factory=lambda: Given("no.token.atall"))
    oidc_audience: str | None = None
    google: GoogleIdentity = field(default_factory=GoogleIdentity)
    aws: AwsIdentity = field(default_factory=AwsIdentity)
    azure: AzureIdentity = field(default_factory=AzureIdentity)
    password: CredentialSupplier = anonymous  # of variables that were named
    credentials: CredentialSupplier = anonymous  # for registries of no cloud


@dataclass
class Clouds:
    """The stand-ins, and the identities that were set up there."""

    router: Router
    directory: Path
    circleci: CircleCI
    entra: Entra
    google: Google
    artifacts: ArtifactRegistry
    aws: Aws
    acr: Acr
    generic: BasicFront
    provider: Provider
    application: Application
    application_secret: str
    reading_application: Application
    entra_tokens: list[str]  # those that a registry was shown: Entra keeps none
    immutable: set[tuple[str, str]] = field(default_factory=set)  # tags of the generic registry
    public_requests: list[Mapping[str, Any]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor)

    @classmethod
    @contextmanager
    def running(cls, directory: Path, router: Router) -> Iterator[Clouds]:
        """Serve all of them for the body of a `with`, below the router."""
        with ExitStack() as stack:
            enter = stack.enter_context
            circleci = enter(CircleCI.running())
            entra = enter(Entra.running(circleci))
            google = enter(Google.running(circleci))
            artifacts = enter(
                ArtifactRegistry.running(
                    directory / "google",
                    (PKG_DEV, GCR, "gcr.io"),
                    principal_of=google.principal,
                    principal_of_key=functools.partial(_principal_of_key, google),
                )
            )
            aws = enter(
                Aws.running(
                    directory / "aws",
                    (ECR, OTHER_ECR, DUAL_STACK_ECR),
                    verify=circleci.verifier(circleci.job.organization),
                )
            )
            shown: list[str] = []

            def believe(token: str) -> Mapping[str, Any] | None:
                shown.append(token)
                return entra.claims(token)

            acr = enter(Acr.running(directory / "azure", (ACR,), entra_is_valid=believe))
            immutable: set[tuple[str, str]] = set()
            upstreams = enter(registries(directory / "generic", [GENERIC]))
            rules = Rules(before_manifest=functools.partial(_unmoved, immutable, upstreams))
            generic = enter(BasicFront.running(upstreams, _generic_login, rules))
            google_names = ("sts", "iamcredentials", "oauth2")
            enter(
                router.routing(
                    {
                        "oidc.circleci.com": circleci.port,
                        "login.microsoftonline.com": entra.port,
                        **{f"{name}.googleapis.com": google.port for name in google_names},
                        **artifacts.routes,
                        **aws.routes,
                        **acr.routes,
                        GENERIC: generic.port,
                    }
                )
            )
            application = _azure(entra, circleci.job)
            reading = _azure(entra, circleci.job)
            clouds = cls(
                router=router,
                directory=directory,
                circleci=circleci,
                entra=entra,
                google=google,
                artifacts=artifacts,
                aws=aws,
                acr=acr,
                generic=generic,
                provider=_google(google, circleci.job),
                application=application,
                application_secret=entra.add_secret(application),
                reading_application=reading,
                entra_tokens=shown,
                immutable=immutable,
            )
            clouds._grant()
            clouds._listen()
            yield clouds

    def _grant(self) -> None:
        job = self.circleci.job
        federated = self.provider.principal(job.project)
        # The pool itself may read; the service account that the job may be, everything.
        self.artifacts.permissions[federated] = {PERMISSIONS["pull"]}
        project = f"org/{job.organization}/project/{job.project}/"
        self.aws.trust(ROLE, lambda claims: str(claims["sub"]).startswith(project))
        self.aws.trust(FOREIGN_ROLE, lambda _: False)
        self.acr.add_user(*ADMIN)
        self.acr.roles[self.reading_application.client_id] = {"pull"}

    def _listen(self) -> None:
        """Keep what the public registry's API is asked for, which it does not remember."""
        control: Any = self.aws.control
        answer = control._public

        def public(key: object, action: str, parameters: Mapping[str, Any]) -> object:
            self.public_requests.append({"action": action, **parameters})
            return answer(key, action, parameters)

        control._public = public

    # Who the job is.

    @property
    def job(self) -> Who:
        """The job, by its OIDC token alone, at all three clouds."""
        return Who(
            tokens=self.tokens(self.circleci.mint()),
            google=GoogleIdentity(
                workload_identity_provider=self.provider.resource,
                service_account=SERVICE_ACCOUNT,
            ),
            aws=AwsIdentity(role_arn=ROLE, session_name="circleci-job"),
            azure=AzureIdentity(
                client_id=self.application.client_id, tenant_id=self.application.tenant
            ),
        )

    def somebody(self, token: str) -> Who:
        """One who claims to be the job, with another token for whatever audience."""
        return dataclasses.replace(self.job, tokens=Given(token))

    @property
    def reader(self) -> Who:
        """The job, by identities that may read only where there are such."""
        return dataclasses.replace(
            self.job,
            google=GoogleIdentity(workload_identity_provider=self.provider.resource),
            azure=AzureIdentity(
                client_id=self.reading_application.client_id,
                tenant_id=self.reading_application.tenant,
            ),
        )

    def tokens(self, text: str) -> CircleCITokens:
        """Return the product's token source, in an environment like a job's."""
        environ = {**self.program_environment(), "CIRCLE_OIDC_TOKEN_V2": text}
        return CircleCITokens(Processes(environ), self.retry(), self.redactor)

    def program_environment(self) -> dict[str, str]:
        """Return variables under which `circleci` is the stand-in."""
        programs = self.directory / "programs"
        if not programs.exists():
            self.circleci.install(programs)
        return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def retry(self) -> RetryPolicy:
        """Return a policy that waits a moment only, and notes why."""
        return RetryPolicy(self.waits.append, attempts=ATTEMPTS, first_wait=0.001)

    def registry(self, host: str, who: Who) -> HostedRegistry:
        """Return the registry under test, for somebody."""
        retry = self.retry()
        identities = Identities(
            tokens=who.tokens,
            retry=retry,
            oidc_audience=who.oidc_audience,
            google=who.google,
            aws=who.aws,
            azure=who.azure,
            password=who.password,
        )
        http = HttpClient(retry, user_agent="test")
        return registry_for(
            host, Connection(http, self.redactor, who.credentials, identities=identities)
        )

    # What the clouds have.

    def google_repository(self, host: str = PKG_DEV) -> Repository:
        """Return a new image in a new repository; a gcr.io host has one for each project."""
        project = _unique("acme")
        if host == PKG_DEV:
            name = _unique("shop")
            self.create_google_repository(project, name)
            return Repository(host, f"{project}/{name}/web")
        self.create_google_repository(project, host, {GCR: "asia", "gcr.io": "us"}[host])
        return Repository(host, f"{project}/web")

    def create_google_repository(
        self, project: str, name: str, location: str = "europe-west1"
    ) -> None:
        """Create a repository of a project."""
        self.artifacts.create_repository(
            "setup",
            types.CreateRepositoryRequest(
                parent=f"projects/{project}/locations/{location}",
                repository_id=name,
                repository=types.Repository(format_=types.Repository.Format.DOCKER),
            ),
        )

    def aws_client(self, service: str, region: str = REGION, account: str = ACCOUNT) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """Return a client of an account's administrator."""
        key = self.aws.add_key(account, "admin")
        return boto3.client(
            service,
            region_name=region,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    def ecr_repository(self, host: str = ECR, account: str = ACCOUNT) -> Repository:
        """Return a new private repository."""
        name = _unique("shop/web")
        self.aws_client("ecr", account=account).create_repository(repositoryName=name)
        return Repository(host, name)

    def public_repository(self) -> Repository:
        """Return a new public repository."""
        name = _unique("shop/web")
        self.aws.public[name] = PublicRepository(ACCOUNT, name)
        return Repository(ECR_PUBLIC, f"{alias_of(ACCOUNT)}/{name}")

    def acr_repository(self, host: str = ACR) -> Repository:
        """Return a new name: a repository is made by a push."""
        return Repository(host, _unique("shop/web"))

    def generic_repository(self) -> Repository:
        """Return a new name at the registry of no cloud."""
        return Repository(GENERIC, _unique("shop/web"))

    # What is seen of them.

    @property
    def fronts(self) -> list[Front]:
        """Everything that records requests."""
        return [
            self.circleci,
            self.entra,
            self.google,
            self.artifacts.api,
            self.artifacts.data,
            self.aws.control,
            self.aws.data,
            self.aws.public_data,
            self.acr,
            self.generic,
        ]

    def front_of(self, host: str) -> RegistryFront:
        """Return what serves a registry's images."""
        fronts: tuple[RegistryFront, ...] = (
            self.artifacts.data,
            self.aws.data,
            self.aws.public_data,
            self.acr,
            self.generic,
        )
        return next(front for front in fronts if host in front.upstreams)

    @property
    def requests(self) -> list[str]:
        """What registries and their APIs were asked for: paths, and actions."""
        paths = [
            f"{received.method} {received.path}"
            for front in self.fronts
            for received in front.requests
        ]
        actions = [*self.aws.calls, *(str(one["action"]) for one in self.public_requests)]
        return [*paths, *actions]

    @property
    def changes(self) -> list[str]:
        """What has changed a registry: pushes, and repositories that were created."""
        changing = ("PUT /v2/", "PATCH /v2/", "POST /v2/", "POST /v1/projects/acme/locations/")
        return [
            request
            for request in self.requests
            if request.startswith(changing) or request in {"CreateRepository", "PutImage"}
        ]

    def secrets(self) -> set[str]:
        """Return every token, key and password that anybody was given so far."""
        keys = self.aws.keys.values()
        aws = {key.secret_access_key for key in keys} | {
            key.session_token for key in keys if key.session_token is not None
        }
        issued = (
            self.google._issued,
            self.artifacts.data.tokens._issued,
            self.aws.passwords,
            self.aws.public_passwords,
            self.aws.public_data.tokens._issued,
            self.acr.tokens._issued,
            self.acr.refresh_tokens._issued,
        )
        return {
            *aws,
            *(token for one in issued for token in one),
            *self.circleci.minted,
            *self.entra_tokens,
            self.application_secret,
            ADMIN[1],
            GENERIC_LOGIN.password.reveal(),
        }

    @contextmanager
    def expiring(self, front: RegistryFront, expire: Callable[[], None]) -> Iterator[list[str]]:
        """Let credentials expire after the first upload has begun; note when that is."""
        noted: list[str] = []
        before = front.rules.access

        def access(wanted: Access) -> None:
            before(wanted)
            if not noted and (wanted.kind, wanted.method) == ("blobs", "POST"):
                noted.append(wanted.repository)
                expire()

        front.rules.access = access
        try:
            yield noted
        finally:
            front.rules.access = before
        assert noted, "nothing was uploaded"


def admin_key(clouds: Clouds, account: str = ACCOUNT) -> AwsIdentity:
    """Return static keys of an account."""
    key = clouds.aws.add_key(account)
    return AwsIdentity(
        access_key_id=key.access_key_id, secret_access_key=Secret(key.secret_access_key)
    )


def service_account_key(clouds: Clouds, email: str = SERVICE_ACCOUNT) -> str:
    """Return a new key of a service account, as its JSON file."""
    return json.dumps(clouds.google.make_service_account_key(email))


def other_project(job: Job) -> Job:
    """Return a job of another project of the same organization."""
    return dataclasses.replace(job, project=str(uuid.uuid4()))


def other_organization(job: Job) -> Job:
    """Return a job of another organization."""
    return dataclasses.replace(job, organization=str(uuid.uuid4()))


@dataclass(frozen=True)
class CloudPush(OciPush):
    """Pushes through a front, as one who has credentials for docker."""

    @property
    def _url(self) -> str:
        return f"https://{self.repository.host}/v2/{self.repository.path}"

    def _send(
        self, method: str, url: str, content: bytes = b"", media_type: str | None = None
    ) -> requests.Response:
        answer = requests.request(
            method,
            url,
            data=content,
            headers={
                "Content-Type": media_type or "application/octet-stream",
                "Accept": "application/vnd.oci.image.index.v1+json, "
                "application/vnd.oci.image.manifest.v1+json",
                "Authorization": self._authorization,
            },
            timeout=10,
        )
        assert answer.ok, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer

    @functools.cached_property
    def _authorization(self) -> str:
        pair = f"{self.login.username}:{self.login.password.reveal()}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        asked = requests.get(f"https://{self.repository.host}/v2/", timeout=10)
        challenge = parse_challenge(asked.headers.get("WWW-Authenticate", ""))
        if not isinstance(challenge, Bearer):
            return basic
        scope = f"repository:{self.repository.path}:pull,push"
        query = urlencode({"service": challenge.service, "scope": scope})
        answer = requests.get(
            f"{challenge.realm}?{query}", headers={"Authorization": basic}, timeout=10
        )
        assert answer.ok, answer.text
        document = answer.json()
        return f"Bearer {document.get('token') or document['access_token']}"


@dataclass
class CloudWorld:
    """A registry of a cloud for the contract: who comes is a `Who`."""

    clouds: Clouds
    repository: Repository
    login: Who

    def client(self, login: Who | None) -> HostedRegistry:
        return self.clouds.registry(self.repository.host, login or Who())

    def unavailable(self) -> HostedRegistry:
        """Return the registry while it fails: as often as one request is tried."""
        registry = self.client(self.login)
        registry.credentials()
        fault = Fault("GET", "/v2/.*", Reply(503), times=ATTEMPTS)
        self.clouds.front_of(self.repository.host).faults.add(fault)
        return registry

    def push(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        credentials = self.client(self.login).credentials()
        assert credentials is not None
        return CloudPush(self.repository, credentials).image(tags, labels, platforms)


def _unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:10]}"


def _google(google: Google, job: Job) -> Provider:
    provider = google.add_provider(
        Provider(
            job.issuer,
            subject=lambda claims: str(claims[PROJECT_CLAIM]),
            attributes={"project": lambda claims: str(claims[PROJECT_CLAIM])},
            condition=lambda claims: claims[PROJECT_CLAIM] == job.project,
            audiences=(job.organization,),
        )
    )
    google.add_service_account(SERVICE_ACCOUNT, provider.principal_set("project", job.project))
    return provider


def _azure(entra: Entra, job: Job) -> Application:
    application = entra.add_application()
    application.federated.append(FederatedCredential(job.issuer, job.subject))
    return application


def _principal_of_key(google: Google, text: str) -> str | None:
    """Return whose a key file is, which docker may use for a password."""
    with contextlib.suppress(ValueError, KeyError):
        found = json.loads(text)
        for key in google.keys:
            if (key.email, key.identifier) == (found["client_email"], found["private_key_id"]):
                return f"serviceAccount:{key.email}"
    return None


def _generic_login(login: Login, wanted: tuple[Scope, ...]) -> str | None:
    del wanted
    expected = GENERIC_LOGIN.username, GENERIC_LOGIN.password.reveal()
    return login.user if (login.user, login.password) == expected else None


def _unmoved(
    immutable: set[tuple[str, str]], upstreams: Mapping[str, str], manifest: Manifest
) -> None:
    """Refuse to move an immutable tag in the words of Harbor (goharbor/harbor, immutable.go)."""
    name, tag = manifest.access.repository, manifest.tag or ""
    if (name, tag) not in immutable:
        return
    url = f"http://{upstreams[GENERIC]}/v2/{name}/manifests/{tag}"
    accept = {"Accept": manifest.media_type}
    found = requests.head(url, headers=accept, timeout=10).headers.get("Docker-Content-Digest")
    if found != manifest.digest:
        words = f"Failed to process request due to '{name.rpartition('/')[2]}:{tag}' configured as "
        raise Refused(412, "PRECONDITION", f"{words}immutable.")
