"""Google's registries: the Artifact Registry API over REST and gRPC, and the registry API.

Requests and answers are the client's own message types. One port speaks REST and gRPC: a connection
that begins with HTTP/2's preface is handed to the gRPC server. Images are those that were pushed.

Where the words come from. Of the API: PermissionDenied is quoted in many reports ("Permission
'artifactregistry.repositories.get' denied on resource '//artifactregistry.googleapis.com/…' (or it
may not exist)."); AlreadyExists, NotFound and Unauthenticated are from memory. Of the registry:
"denied" and "Unauthenticated request" in GoogleCloudPlatform/generative-ai#693 and
google-github-actions/auth#50, that the token endpoint answers them (403) in
mr-smithers-excellent/docker-build-push#227, "name unknown" in cloud-builders-community#588,
NAME_INVALID (400) in docker/build-push-action#171, "manifest invalid: cannot update tag …" in
Google's troubleshooting page, which kaniko matches; it is about another digest only. From memory:
its status 400, and "failed authentication".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs

import grpc
from google.cloud.artifactregistry_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, json_format, timestamp_pb2

from tests.standins.clouds.fronts import (
    Access,
    Answer,
    Exchange,
    Front,
    Grant,
    Handler,
    Login,
    Manifest,
    Refused,
    Rules,
    Scope,
    TokenFront,
    TokenRequest,
    registries,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SERVICE: Final = "google.devtools.artifactregistry.v1.ArtifactRegistry"
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0"
DOCKER_HOST: Final = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev")
GCR: Final = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
PARENT: Final = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)")
REPOSITORY_ID: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# The permission that the registry API needs, by action.
PERMISSIONS: Final = {
    "pull": "artifactregistry.repositories.downloadArtifacts",
    "push": "artifactregistry.repositories.uploadArtifacts",
    "delete": "artifactregistry.repositories.deleteArtifacts",
}
PAGE: Final = 100


class ApiError(Exception):
    """An error of Google's APIs."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    @property
    def answer(self) -> Answer:
        """The error over REST."""
        status = STATUSES[self.code]
        error = {"code": status, "message": self.message, "status": self.code.name}
        return Answer.of(status, {"error": error})


STATUSES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}


@dataclass
class _Image:
    """A manifest of an image in a repository."""

    package: str
    digest: str
    media_type: str
    size: int
    tags: set[str] = field(default_factory=set)
    uploaded: float = field(default_factory=time.time)


class ArtifactRegistry:
    """The state of Google's stand-ins; made by `ArtifactRegistry.running`.

    `port` serves artifactregistry.googleapis.com (REST and gRPC), `data_port` the registry hosts.
    `permissions[principal]` limits what a principal may do; one who is not listed may everything.
    `fail` lets a call of the API fail, `api.faults` (REST alone) and `data.faults` a request.
    """

    def __init__(
        self,
        principal_of: Callable[[str], str | None],
        principal_of_key: Callable[[str], str | None],
    ) -> None:
        self.principal_of = principal_of
        self.principal_of_key = principal_of_key
        self.permissions: dict[str, set[str]] = {}
        self.repositories: dict[str, types.Repository] = {}
        self.calls: list[str] = []
        self._failures: dict[str, list[ApiError]] = {}
        self.lock = threading.RLock()
        self._images: dict[str, list[_Image]] = {}
        self.api = _Rest(self)
        self.data: TokenFront
        self.grpc_port = 0

    @classmethod
    @contextmanager
    def running(
        cls,
        directory: Path,
        hosts: Sequence[str] = ("europe-west1-docker.pkg.dev", "gcr.io"),
        *,
        principal_of: Callable[[str], str | None] = lambda _: None,
        principal_of_key: Callable[[str], str | None] = lambda _: None,
    ) -> Iterator[ArtifactRegistry]:
        """Serve for the body of a `with`.

        `principal_of` says whose an access token is, `principal_of_key` whose a key file (its
        text); both say None to what they do not believe.
        """
        google = cls(principal_of, principal_of_key)
        with ExitStack() as stack:
            upstreams = stack.enter_context(registries(directory, hosts))
            rules = Rules(google._known, google._immutable, google._pushed, google._deleted)
            google.data = TokenFront(upstreams, google._granted, rules)
            stack.enter_context(google.data.serving())
            stack.enter_context(_serving_grpc(google))
            stack.enter_context(google.api.serving())
            yield google

    @property
    def port(self) -> int:
        """The port of the API."""
        return self.api.port

    @property
    def data_port(self) -> int:
        """The port of the registries."""
        return self.data.port

    @property
    def routes(self) -> dict[str, int]:
        """The port of each host; a router should offer HTTP/2 for the first, but not insist."""
        data = dict.fromkeys(self.data.upstreams, self.data_port)
        return {"artifactregistry.googleapis.com": self.port, **data}

    def fail(self, method: str, error: ApiError, times: int = 1) -> None:
        """Let the next calls of a method ("GetRepository") fail, without effect."""
        self._failures.setdefault(method, []).extend([error] * times)

    # The API: what each call does, whatever the transport.

    def call(self, method: str, authorization: str | None, message: Any) -> Any:  # noqa: ANN401
        """Answer a call with a message, or raise ApiError."""
        self.calls.append(method)
        principal = self._caller(authorization)
        with self.lock:
            if self._failures.get(method):
                raise self._failures[method].pop(0)
            return METHODS[method].answer(self, principal, message)

    def _caller(self, authorization: str | None) -> str:
        scheme, _, token = (authorization or "").partition(" ")
        rest = (
            "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
            "See https://developers.google.com/identity/sign-in/web/devconsole-project."
        )
        if scheme.lower() != "bearer":
            words = f"Request is missing required authentication credential. {rest}"
            raise ApiError(grpc.StatusCode.UNAUTHENTICATED, words)
        principal = self.principal_of(token)
        if principal is None:
            words = f"Request had invalid authentication credentials. {rest}"
            raise ApiError(grpc.StatusCode.UNAUTHENTICATED, words)
        return principal

    def _may(self, principal: str, permission: str) -> bool:
        allowed = self.permissions.get(principal)
        return allowed is None or permission in allowed

    def _check(self, principal: str, permission: str, resource: str) -> None:
        if not self._may(principal, permission):
            words = (
                f"Permission '{permission}' denied on resource "
                f"'//artifactregistry.googleapis.com/{resource}' (or it may not exist)."
            )
            raise ApiError(grpc.StatusCode.PERMISSION_DENIED, words)

    def _found(self, name: str) -> types.Repository:
        repository = self.repositories.get(name)
        if repository is None:
            raise ApiError(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
        return repository

    def get_repository(
        self, principal: str, message: types.GetRepositoryRequest
    ) -> types.Repository:
        """Return a repository."""
        self._check(principal, "artifactregistry.repositories.get", message.name)
        return self._found(message.name)

    def create_repository(
        self, principal: str, message: types.CreateRepositoryRequest
    ) -> operations_pb2.Operation:
        """Create a repository; return a finished operation."""
        self._check(principal, "artifactregistry.repositories.create", message.parent)
        parent = PARENT.fullmatch(message.parent)
        if parent is None or not self._is_valid(message, parent["location"]):
            words = "Request contains an invalid argument."
            raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, words)
        name = f"{message.parent}/repositories/{message.repository_id}"
        if name in self.repositories:
            raise ApiError(grpc.StatusCode.ALREADY_EXISTS, "the repository already exists")
        self.repositories[name] = created = _created(name, message.repository)
        response = any_pb2.Any()
        response.Pack(types.Repository.pb(created))
        metadata = any_pb2.Any()
        metadata.Pack(types.OperationMetadata.pb(types.OperationMetadata()))
        operation = f"{message.parent}/operations/{message.repository_id}"
        return operations_pb2.Operation(
            name=operation, done=True, response=response, metadata=metadata
        )

    def _is_valid(self, message: types.CreateRepositoryRequest, location: str) -> bool:
        name = message.repository_id
        right_name = GCR.get(name) == location if name in GCR else REPOSITORY_ID.fullmatch(name)
        return bool(right_name) and message.repository.format_ == types.Repository.Format.DOCKER

    def list_repositories(
        self, principal: str, message: types.ListRepositoriesRequest
    ) -> types.ListRepositoriesResponse:
        """Return a page of repositories."""
        self._check(principal, "artifactregistry.repositories.list", message.parent)
        begin = f"{message.parent}/repositories/"
        names = sorted(name for name in self.repositories if name.startswith(begin))
        page, token = _page(names, message)
        listed = [self.repositories[name] for name in page]
        return types.ListRepositoriesResponse(repositories=listed, next_page_token=token)

    def list_docker_images(
        self, principal: str, message: types.ListDockerImagesRequest
    ) -> types.ListDockerImagesResponse:
        """Return a page of images."""
        self._check(principal, "artifactregistry.dockerimages.list", message.parent)
        self._found(message.parent)
        page, token = _page(self._images.get(message.parent, []), message)
        listed = [self._document(message.parent, image) for image in page]
        return types.ListDockerImagesResponse(docker_images=listed, next_page_token=token)

    def get_docker_image(
        self, principal: str, message: types.GetDockerImageRequest
    ) -> types.DockerImage:
        """Return an image, named with its digest."""
        self._check(principal, "artifactregistry.dockerimages.get", message.name)
        repository, _, name = message.name.partition("/dockerImages/")
        package, _, digest = name.replace("%2F", "/").partition("@")
        for image in self._images.get(repository, []):
            if (image.package, image.digest) == (package, digest):
                return self._document(repository, image)
        raise ApiError(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")

    def get_tag(self, principal: str, message: types.GetTagRequest) -> types.Tag:
        """Return a tag and the version (digest) that it means."""
        self._check(principal, "artifactregistry.tags.get", message.name)
        repository, _, rest = message.name.partition("/packages/")
        package, _, tag = rest.replace("%2F", "/").partition("/tags/")
        image = self._tagged(repository, package, tag)
        if image is None:
            raise ApiError(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
        encoded = package.replace("/", "%2F")
        version = f"{repository}/packages/{encoded}/versions/{image.digest}"
        return types.Tag(name=message.name, version=version)

    def _tagged(self, repository: str, package: str, tag: str) -> _Image | None:
        images = self._images.get(repository, [])
        found = (one for one in images if one.package == package and tag in one.tags)
        return next(found, None)

    def _document(self, repository: str, image: _Image) -> types.DockerImage:
        uri = self.repositories[repository].registry_uri
        when = timestamp_pb2.Timestamp(seconds=int(image.uploaded))
        return types.DockerImage(
            name=f"{repository}/dockerImages/{image.package.replace('/', '%2F')}@{image.digest}",
            uri=f"{uri}/{image.package}@{image.digest}",
            tags=sorted(image.tags),
            image_size_bytes=image.size,
            media_type=image.media_type,
            upload_time=when,
            update_time=when,
        )

    # The registry API.

    def _granted(self, asked: TokenRequest) -> Grant:
        principal = "" if asked.login is None else self._principal(asked.login)
        if principal is None:
            raise Refused(401, "UNAUTHORIZED", "failed authentication")
        for scope in asked.scopes:
            for action in sorted(scope.actions, reverse=True):
                self._check_data(principal, asked.host, scope, action)
        return Grant(principal, asked.scopes)

    def _principal(self, login: Login) -> str | None:
        match login.user:
            case "oauth2accesstoken":
                return self.principal_of(login.password)
            case "_json_key":
                return self.principal_of_key(login.password)
            case "_json_key_base64":
                with suppress(binascii.Error, UnicodeDecodeError):
                    text = base64.b64decode(login.password, validate=True).decode()
                    return self.principal_of_key(text)
                return None
            case _:
                return None

    def _check_data(self, principal: str, host: str, scope: Scope, action: str) -> None:
        permission = PERMISSIONS.get(action)
        if permission is None or (principal and self._may(principal, permission)):
            return
        resource, _ = resource_of(host, scope.name)
        if principal:
            words = (
                f'Permission "{permission}" denied on resource "{resource}" (or it may not exist)'
            )
        else:
            words = (
                "Unauthenticated request. Unauthenticated requests do not have permission "
                f'"{permission}" on resource "{resource}" (or it may not exist)'
            )
        raise Refused(403, "DENIED", words)

    def _known(self, access: Access) -> None:
        resource, _ = resource_of(access.host, access.repository)
        if resource not in self.repositories:
            words = f'Repository "{resource.rpartition("/")[2]}" not found'
            raise Refused(404, "NAME_UNKNOWN", words)

    def _immutable(self, manifest: Manifest) -> None:
        access, tag = manifest.access, manifest.tag
        resource, package = resource_of(access.host, access.repository)
        before = self._tagged(resource, package, tag) if tag else None
        immutable = self.repositories[resource].docker_config.immutable_tags
        if before and immutable and before.digest != manifest.digest:
            words = f"cannot update tag {tag}. The repository has enabled tag immutability"
            raise Refused(400, "MANIFEST_INVALID", words)

    def _pushed(self, manifest: Manifest) -> None:
        access, tag = manifest.access, manifest.tag
        resource, package = resource_of(access.host, access.repository)
        with self.lock:
            images = self._images.setdefault(resource, [])
            before = self._tagged(resource, package, tag) if tag else None
            if before and tag:
                before.tags.discard(tag)
            same = (one for one in images if one.package == package)
            image = next((one for one in same if one.digest == manifest.digest), None)
            if image is None:
                image = _image(package, manifest)
                images.append(image)
            if tag:
                image.tags.add(tag)

    def _deleted(self, access: Access) -> None:
        resource, package = resource_of(access.host, access.repository)
        if access.kind == "manifests":
            with self.lock:
                self._images[resource] = [
                    image
                    for image in self._images.get(resource, [])
                    if (image.package, image.digest) != (package, access.reference)
                ]


def resource_of(host: str, path: str) -> tuple[str, str]:
    """Return the API's name of a repository and the image in it; a short path is refused."""
    parts = path.split("/")
    found = DOCKER_HOST.fullmatch(host)
    location = found["location"] if found else GCR[host]
    if not found:
        parts[1:1] = [host]
    if len(parts) < 3:
        words = (
            "Missing image name. Pushes should be of the form "
            "docker push HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE"
        )
        raise Refused(400, "NAME_INVALID", words)
    resource = f"projects/{parts[0]}/locations/{location}/repositories/{parts[1]}"
    return resource, "/".join(parts[2:])


def _image(package: str, manifest: Manifest) -> _Image:
    document = json.loads(manifest.content)
    parts = [document.get("config", {}), *document.get("layers", [])]
    size = sum(part.get("size", 0) for part in parts)
    media_type = manifest.media_type or document.get("mediaType", "")
    return _Image(package, manifest.digest, media_type, size)


def _created(name: str, wanted: types.Repository) -> types.Repository:
    """Return what the API makes of the repository that a client wants."""
    created = types.Repository(wanted)
    now = timestamp_pb2.Timestamp(seconds=int(time.time()))
    _, project, _, location, _, repository_id = name.split("/")
    created.name, created.create_time, created.update_time = name, now, now
    created.mode = types.Repository.Mode.STANDARD_REPOSITORY
    created.registry_uri = f"{location}-docker.pkg.dev/{project}/{repository_id}"
    config = created.vulnerability_scanning_config
    kinds = types.Repository.VulnerabilityScanningConfig
    disabled = config.enablement_config == kinds.EnablementConfig.DISABLED
    states = kinds.EnablementState
    config.enablement_state = states.SCANNING_DISABLED if disabled else states.SCANNING_ACTIVE
    return created


def _page(items: list[Any], message: Any) -> tuple[list[Any], str]:  # noqa: ANN401 - no common type
    start = int(message.page_token or 0)
    end = start + (message.page_size or PAGE)
    return items[start:end], str(end) if end < len(items) else ""


@dataclass(frozen=True)
class _Method:
    """A call: its messages, and its path over REST with the field that the path fills."""

    request: Any
    response: Any
    answer: Callable[[ArtifactRegistry, str, Any], Any]
    path: re.Pattern[str]
    field: str
    verb: str = "GET"


_IN = r"projects/[^/]+/locations/[^/]+"
METHODS: Final[Mapping[str, _Method]] = {
    "GetRepository": _Method(
        types.GetRepositoryRequest,
        types.Repository,
        ArtifactRegistry.get_repository,
        re.compile(rf"/v1/({_IN}/repositories/[^/]+)"),
        "name",
    ),
    "CreateRepository": _Method(
        types.CreateRepositoryRequest,
        operations_pb2.Operation,
        ArtifactRegistry.create_repository,
        re.compile(rf"/v1/({_IN})/repositories"),
        "parent",
        "POST",
    ),
    "ListRepositories": _Method(
        types.ListRepositoriesRequest,
        types.ListRepositoriesResponse,
        ArtifactRegistry.list_repositories,
        re.compile(rf"/v1/({_IN})/repositories"),
        "parent",
    ),
    "ListDockerImages": _Method(
        types.ListDockerImagesRequest,
        types.ListDockerImagesResponse,
        ArtifactRegistry.list_docker_images,
        re.compile(rf"/v1/({_IN}/repositories/[^/]+)/dockerImages"),
        "parent",
    ),
    "GetDockerImage": _Method(
        types.GetDockerImageRequest,
        types.DockerImage,
        ArtifactRegistry.get_docker_image,
        re.compile(rf"/v1/({_IN}/repositories/[^/]+/dockerImages/.+)"),
        "name",
    ),
    "GetTag": _Method(
        types.GetTagRequest,
        types.Tag,
        ArtifactRegistry.get_tag,
        re.compile(rf"/v1/({_IN}/repositories/[^/]+/packages/.+/tags/[^/]+)"),
        "name",
    ),
}
# Query parameters of REST that are not strings, or not named as in the messages.
PARAMETERS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "repositoryId": ("repository_id", str),
    "pageSize": ("page_size", int),
    "pageToken": ("page_token", str),
    "orderBy": ("order_by", str),
}


class _Rest(Front):
    """The API over REST; what begins as HTTP/2 goes to the gRPC server."""

    def __init__(self, google: ArtifactRegistry) -> None:
        super().__init__()
        self.google = google

    @property
    def handler(self) -> type[Handler]:
        return _RestOrGrpc

    def answer(self, exchange: Exchange) -> None:
        """Answer a call."""
        try:
            exchange.send(self._answer(exchange))
        except ApiError as error:
            exchange.send(error.answer)

    def _answer(self, exchange: Exchange) -> Answer:
        received = exchange.received
        for name, method in METHODS.items():
            found = method.path.fullmatch(received.path)
            if found is None or method.verb != received.method:
                continue
            message = method.request(**{method.field: found[1]}, **_parameters(received.query))
            if method.verb == "POST":
                message.repository = types.Repository.from_json(exchange.body().decode())
            answer = self.google.call(name, received.header("Authorization"), message)
            return Answer.of(200, json_format.MessageToDict(_protobuf(answer)))
        raise ApiError(grpc.StatusCode.UNIMPLEMENTED, f"not in this stand-in: {received.path}")


def _parameters(query: str) -> dict[str, object]:
    values = parse_qs(query)
    return {
        name: convert(values[parameter][0])
        for parameter, (name, convert) in PARAMETERS.items()
        if parameter in values
    }


def _protobuf(message: Any) -> Any:  # noqa: ANN401 - of proto-plus, or already protobuf's
    return message if isinstance(message, operations_pb2.Operation) else type(message).pb(message)


class _RestOrGrpc(Handler):
    def handle(self) -> None:
        """Look at the first bytes of a connection; a gRPC client speaks first."""
        begin = self.connection.recv(len(HTTP2_PREFACE), socket.MSG_PEEK)
        if begin.startswith(HTTP2_PREFACE[:3]):
            front = cast("_Rest", self.front)
            address = ("127.0.0.1", front.google.grpc_port)
            with socket.create_connection(address) as backend:
                _pump(self.connection, backend)
        else:
            super().handle()


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side ends."""
    to = {one: other, other: one}
    one.settimeout(None)
    while True:
        for ready in select.select([one, other], [], [])[0]:
            piece = ready.recv(1 << 16)
            if not piece:
                return
            to[ready].sendall(piece)


@contextmanager
def _serving_grpc(google: ArtifactRegistry) -> Iterator[None]:
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        handlers = {name: _grpc_handler(google, name) for name in METHODS}
        generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
        server.add_generic_rpc_handlers((generic,))
        google.grpc_port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield
        finally:
            server.stop(0).wait()


def _grpc_handler(google: ArtifactRegistry, name: str) -> grpc.RpcMethodHandler:
    def behave(message: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        metadata = dict(context.invocation_metadata() or ())
        authorization = metadata.get("authorization")
        try:
            return google.call(name, cast("str | None", authorization), message)
        except ApiError as error:
            context.abort(error.code, error.message)

    method = METHODS[name]
    return grpc.unary_unary_rpc_method_handler(
        behave,
        request_deserializer=method.request.deserialize,
        response_serializer=lambda answer: _protobuf(answer).SerializeToString(),
    )
