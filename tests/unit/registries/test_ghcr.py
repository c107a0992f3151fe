from __future__ import annotations

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.registries.connection import Connection
from gitops_release.registries.ghcr import GhcrProvider
from gitops_release.registries.kinds import kind_of
from gitops_release.system.http import HttpClient
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy

LOGIN = Credentials("somebody", Secret("a-token"))


@pytest.fixture
def provider() -> GhcrProvider:
    http = HttpClient(RetryPolicy(print), user_agent="test")
    return GhcrProvider("ghcr.io", Connection(http, Redactor(), lambda: LOGIN))


@pytest.mark.parametrize(
    "host", ["ghcr.io.example.com", "xghcr.io", "GHCR.IO", "ghcr.io:443", "docker.ghcr.io"]
)
def test_a_host_that_looks_like_it_is_another_kind(host: str) -> None:
    assert kind_of("ghcr.io").name == "ghcr"
    assert kind_of(host).name == "generic"


def test_an_image_follows_its_owner(provider: GhcrProvider) -> None:
    provider.check(Repository("ghcr.io", "acme/app"))
    provider.check(Repository("ghcr.io", "acme/team/app"))
    with pytest.raises(UsageError, match=r"expected ghcr\.io/OWNER/IMAGE, found ghcr\.io/app"):
        provider.check(Repository("ghcr.io", "app"))


def test_the_credentials_are_those_that_were_given(provider: GhcrProvider) -> None:
    assert provider.fetch() == LOGIN


def test_a_package_needs_no_creation_and_offers_no_scans(provider: GhcrProvider) -> None:
    repository = Repository("ghcr.io", "acme/app")
    assert provider.repository_exists(repository)
    assert provider.findings(ImageReference(repository, "1")) is None
    provider.create_repository(repository, RepositorySettings())
    with pytest.raises(UsageError, match="by the first push"):
        provider.create_repository(repository, RepositorySettings(immutable_tags=True))
