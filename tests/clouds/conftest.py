"""The clouds' identities, under their own names. These tests run in the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.standins import box
from tests.standins.clouds.entra import Entra
from tests.standins.clouds.google_sts import Google
from tests.standins.clouds.oidc import CircleCI
from tests.standins.clouds.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def in_the_box() -> None:
    if not box.is_inside():
        pytest.fail(
            "these tests need the clouds' host names to be local: as root, run "
            "python -m tests.standins.box .venv/bin/pytest",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def router(in_the_box: None) -> Iterator[Router]:
    """Return the router, with nothing behind it: a test adds its backends for as long as it runs.

    A mistake of the router fails the last test that used it.
    """
    del in_the_box
    with Router.running() as running:
        yield running
    assert running.troubles == []


@pytest.fixture
def circleci(router: Router) -> Iterator[CircleCI]:
    with CircleCI.running() as running, router.routing({"oidc.circleci.com": running.port}):
        yield running


@pytest.fixture
def entra(router: Router, circleci: CircleCI) -> Iterator[Entra]:
    with (
        Entra.running(circleci) as running,
        router.routing({"login.microsoftonline.com": running.port}),
    ):
        yield running


@pytest.fixture
def google(router: Router, circleci: CircleCI) -> Iterator[Google]:
    names = ("sts.googleapis.com", "iamcredentials.googleapis.com", "oauth2.googleapis.com")
    with (
        Google.running(circleci) as running,
        router.routing(dict.fromkeys(names, running.port)),
    ):
        yield running
