from __future__ import annotations

import pytest

from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    ImmutableTagError,
)
from gitops_release.engines.push_errors import built_digest, is_push_failure, push_error
from gitops_release.system.retry import TransientError

IMAGE = "r.example.com/acme/web:1"
UPLOADED = """\
The push refers to repository [r.example.com/acme/web]
5f70bf18a086: Preparing
5f70bf18a086: Layer already exists
"""


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("unauthorized: authentication required", AuthenticationError),
        ("unauthorized: access to the requested resource is not authorized", AuthenticationError),
        ("no basic auth credentials", AuthenticationError),
        ("denied: requested access to the resource is denied", AuthenticationError),
        (
            (
                'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on '
                'resource "projects/p/locations/l/repositories/r" (or it may not exist)'
            ),
            AuthenticationError,
        ),
        (
            "error parsing HTTP 403 response body: unexpected end of JSON input: Forbidden",
            AuthenticationError,
        ),
        (
            (
                "ERROR: failed to push: failed to authorize: failed to fetch oauth token: "
                "unexpected status from POST request to https://acme1.azurecr.io/oauth2/token: 401 "
                "Unauthorized"
            ),
            AuthenticationError,
        ),
        (
            (
                "tag invalid: The image tag '1' already exists in the 'web' repository and cannot "
                "be overwritten because the repository is immutable."
            ),
            ImmutableTagError,
        ),
        (
            (
                "tag invalid: The image tag '1' already exists in the 'web' repository and cannot "
                "be overwritten because the tag is immutable."
            ),
            ImmutableTagError,
        ),
        (
            "unknown: tag=1 cannot be overwritten because acme/web is an immutable repository",
            ImmutableTagError,
        ),
        ("The requested tag already exists and cannot be overwritten.", ImmutableTagError),
        (
            (
                "name unknown: The repository with name 'web' does not exist in the registry with "
                "id '123456789012'"
            ),
            BuildError,
        ),
        ('name unknown: Repository "web" not found', BuildError),
        ("manifest invalid: manifest invalid", BuildError),
        ("received unexpected HTTP status: 500 Internal Server Error", TransientError),
        ("received unexpected HTTP status: 503 Service Unavailable", TransientError),
        ("toomanyrequests: Rate exceeded", TransientError),
        (
            (
                'Put "https://r.example.com/v2/acme/web/manifests/1": read tcp '
                "10.0.0.2:4->10.0.0.1:443: read: connection reset by peer"
            ),
            TransientError,
        ),
        ("net/http: TLS handshake timeout", TransientError),
        ("unknown: unexpected EOF", TransientError),
    ],
)
def test_a_push_fails_for_what_docker_says(line: str, kind: type[Exception]) -> None:
    error = push_error(UPLOADED + line + "\n", IMAGE)
    assert type(error) is kind
    assert line in str(error)


def test_an_immutable_tag_is_a_conflict() -> None:
    assert issubclass(ImmutableTagError, ConflictError)


def test_the_last_words_count() -> None:
    output = f"denied: an old retry\n{UPLOADED * 12}toomanyrequests: slow down\n"
    assert str(push_error(output, IMAGE)) == "toomanyrequests: slow down"


def test_docker_may_say_nothing() -> None:
    error = push_error("\n\n", IMAGE)
    assert isinstance(error, TransientError)
    assert str(error) == "docker said nothing"


@pytest.mark.parametrize("name", ["unauthorized-page", "forbidden", "immutable-store", "denied"])
def test_the_name_of_an_image_is_no_verdict(name: str) -> None:
    image = f"r.example.com/acme/{name}:1"
    line = f"failed to push {image}: unexpected status from PUT request: 503 Service Unavailable"
    assert isinstance(push_error(line, image), TransientError)


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        (
            (
                "#8 pushing layers 0.1s done\n"
                "ERROR: failed to solve: failed to push r.example.com/acme/web:1: unexpected "
                "status from PUT request to https://r.example.com/v2/: 503 Service Unavailable\n"
            ),
            True,
        ),
        (
            "#9 exporting to image\n#9 ERROR: failed to push r.example.com/acme/web:1: denied\n",
            True,
        ),
        (
            (
                "#6 [2/2] RUN false\n"
                '#6 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1\n'
                "------\n > [2/2] RUN false:\n------\n"
                "ERROR: failed to solve: process did not complete successfully\n"
            ),
            False,
        ),
        (
            (
                "#6 0.1 error: failed to push some refs to 'https://github.com/acme/x'\n"
                "------\n > [2/2] RUN git push:\n0.1 error: failed to push some refs\n------\n"
                'ERROR: failed to solve: process "/bin/sh -c git push" did not complete\n'
            ),
            False,
        ),
        (
            "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file\n",
            False,
        ),
        ("ERROR: dockerfile parse error on line 1: unknown instruction: FORM\n", False),
        ("", False),
    ],
    ids=["push", "push in a step", "RUN", "RUN git push", "no Dockerfile", "syntax", "nothing"],
)
def test_a_build_that_pushes_fails_in_its_push_or_before(output: str, *, failed: bool) -> None:
    assert is_push_failure(output) is failed


CONFIG = "sha256:" + "c" * 64
LIST = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("lines", "digest"),
    [
        ((f"#6 writing image {CONFIG} done",), CONFIG),
        ((f"#6 exporting manifest {LIST} done", f"#6 exporting config {CONFIG} done"), CONFIG),
        ((f"#6 exporting config {CONFIG}", f"#6 exporting manifest list {LIST} 0.0s done"), LIST),
        ((f"#5 0.1 writing image {CONFIG} says a RUN step",), None),
        (("#6 exporting layers done",), None),
    ],
)
def test_buildkit_says_what_it_built(lines: tuple[str, ...], digest: str | None) -> None:
    found = built_digest("\n".join(lines) + "\n")
    assert (None if found is None else str(found)) == digest
