"""Who we are at a registry, as the options and the environment say it."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError
from gitops_release.registries.connection import AwsIdentity, AzureIdentity, GoogleIdentity
from gitops_release.system.oidc import CircleCITokens
from tests.fakes import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gitops_release.registries.connection import Connection, Identities
    from tests.unit.system.command_line import CommandLine, Ended

PASSWORD: Final = "c4nary-of-docker-hub"
LOGIN: Final = {"DOCKER_LOGIN": "hub-user", "DOCKER_PASSWORD": PASSWORD}
NAMED: Final = ("--registry-username-env", "MY_USER", "--registry-password-env", "MY_PASSWORD")
MINE: Final = {"MY_USER": "me", "MY_PASSWORD": "c4nary-of-mine"}


@dataclass
class World:
    """``describe-image`` up to the point where a registry is opened."""

    command_line: CommandLine
    opened: list[Connection] = field(default_factory=list)
    ended: Ended | None = None

    def open(self, _: str, connection: Connection) -> FakeRegistry:
        self.opened.append(connection)
        return FakeRegistry()

    def __call__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Connection:
        self.ended = self.command_line(
            "describe-image", "--image", "r.example.com/app:1", *arguments, environ=environ
        )
        assert self.ended.code == 2  # the fake registry holds nothing
        assert "found nothing" in self.ended.stderr
        return self.opened[-1]

    def identities(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Identities:
        found = self(*arguments, environ=environ).identities
        assert found is not None
        return found


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(command_line)
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", world.open)
    return world


def revealed(value: object) -> Any:  # noqa: ANN401 - a secret or not
    return value.reveal() if isinstance(value, Secret) else value


# User name and password


def test_a_registry_gets_the_variables_of_the_existing_orbs(world: World) -> None:
    assert world(environ=LOGIN).credentials() == Credentials("hub-user", Secret(PASSWORD))


def test_a_cloud_is_never_offered_the_password_that_nobody_named(world: World) -> None:
    assert world.identities(environ=LOGIN).password() is None


def test_a_name_that_is_the_default_s_counts_as_not_given(world: World) -> None:
    """The orb passes every name."""
    defaults = ("--registry-username-env", "DOCKER_LOGIN", "--registry-password-env")
    assert world.identities(*defaults, "DOCKER_PASSWORD", environ=LOGIN).password() is None


def test_a_cloud_may_be_offered_a_password_that_was_named(world: World) -> None:
    connection = world(*NAMED, environ={**LOGIN, **MINE})
    assert connection.identities is not None
    mine = Credentials("me", Secret("c4nary-of-mine"))
    assert connection.identities.password() == mine
    assert connection.credentials() == mine


@pytest.mark.parametrize(
    ("environ", "unset"),
    [
        ({"DOCKER_LOGIN": "user"}, "DOCKER_PASSWORD"),
        ({"DOCKER_PASSWORD": PASSWORD}, "DOCKER_LOGIN"),
        ({"DOCKER_LOGIN": "user", "DOCKER_PASSWORD": ""}, "DOCKER_PASSWORD"),
        ({"DOCKER_LOGIN": "user", "DOCKER_PASSWORD": "\n"}, "DOCKER_PASSWORD"),
    ],
)
def test_half_of_a_login_is_refused_by_its_variable(
    world: World, environ: Mapping[str, str], unset: str
) -> None:
    credentials = world(environ=environ).credentials
    with pytest.raises(AuthenticationError, match=f"found {unset} unset") as caught:
        credentials()
    assert unset in (caught.value.hint or "")


@pytest.mark.parametrize("arguments", [(), NAMED])
def test_without_a_login_we_are_nobody(world: World, arguments: tuple[str, ...]) -> None:
    connection = world(*arguments, environ={})
    assert connection.credentials() is None
    assert connection.identities is not None
    assert connection.identities.password() is None


def test_a_password_is_masked_whatever_its_variable_is_called(world: World) -> None:
    """It is not one of those that are masked for their names."""
    named = ("--registry-username-env", "WHO", "--registry-password-env", "WHAT")
    connection = world(*named, environ={"WHO": "me", "WHAT": "c4nary-of-mine"})
    connection.credentials()
    assert connection.redactor.redact("c4nary-of-mine") == "***"


def test_the_user_names_the_hosts_of_tokens(world: World) -> None:
    hosts = ("--allow-auth-host", "a.example.com", "--allow-auth-host", "b.example.com:8443")
    assert world(*hosts).auth_hosts == ("a.example.com", "b.example.com:8443")


# OIDC


def test_tokens_are_circleci_s(world: World) -> None:
    exp = int(time.time()) + 3600
    environ = {"CIRCLE_OIDC_TOKEN_V2": f"h.{_payload(exp)}.s"}
    identities = world.identities(environ=environ)
    assert isinstance(identities.tokens, CircleCITokens)
    assert identities.tokens.token(None).reveal() == environ["CIRCLE_OIDC_TOKEN_V2"]
    assert identities.oidc_audience is None


@pytest.mark.parametrize(
    ("given", "audience"), [("sts.amazonaws.com", "sts.amazonaws.com"), ("", None)]
)
def test_an_audience_is_passed_on(world: World, given: str, audience: str | None) -> None:
    assert world.identities("--oidc-audience", given).oidc_audience == audience


# Google


def test_nothing_given_leaves_google_to_the_machine(world: World) -> None:
    assert world.identities().google == GoogleIdentity()


def test_google_gets_what_was_given(world: World) -> None:
    pool = "projects/1/locations/global/workloadIdentityPools/p/providers/c"
    found = world.identities(
        *("--gcp-workload-identity-provider", pool),
        *("--gcp-service-account", "ci@p.iam.gserviceaccount.com"),
        *("--gcp-service-account-key-env", "MY_KEY"),
        environ={"GCLOUD_SERVICE_KEY": "another", "MY_KEY": "{}\n"},
    ).google
    assert found == GoogleIdentity(
        workload_identity_provider=pool,
        service_account="ci@p.iam.gserviceaccount.com",
        service_account_key=Secret("{}"),
    )


def test_google_s_key_has_the_orb_s_name(world: World) -> None:
    found = world.identities(environ={"GCLOUD_SERVICE_KEY": "eyJ9"}).google
    assert revealed(found.service_account_key) == "eyJ9"


# AWS

KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cret-key"}


def test_nothing_given_leaves_aws_to_boto3(world: World) -> None:
    assert world.identities().aws == AwsIdentity()


def test_aws_gets_what_was_given(world: World) -> None:
    found = world.identities(
        *("--aws-role-arn", "arn:aws:iam::1:role/ci", "--aws-profile", "ci"),
        environ={**KEYS, "AWS_SESSION_TOKEN": "session-token"},
    ).aws
    assert found == AwsIdentity(
        role_arn="arn:aws:iam::1:role/ci",
        access_key_id="AKIA",
        secret_access_key=Secret("s3cret-key"),
        session_token=Secret("session-token"),
        profile="ci",
    )


MY_KEYS: Final = ("--aws-access-key-id-env", "MY_ID", "--aws-secret-access-key-env", "MY_KEY")


def test_named_keys_do_not_get_the_session_of_others(world: World) -> None:
    """A role that an earlier step has assumed leaves its token behind."""
    environ = {"MY_ID": "AKIB", "MY_KEY": "other-s3cret", **KEYS, "AWS_SESSION_TOKEN": "token"}
    found = world.identities(*MY_KEYS, environ=environ).aws
    assert (found.access_key_id, revealed(found.secret_access_key)) == ("AKIB", "other-s3cret")
    assert found.session_token is None


def test_named_keys_get_the_session_that_was_named(world: World) -> None:
    environ = {"MY_ID": "AKIB", "MY_KEY": "other-s3cret", "MY_TOKEN": "session-token"}
    found = world.identities(*MY_KEYS, "--aws-session-token-env", "MY_TOKEN", environ=environ).aws
    assert revealed(found.session_token) == "session-token"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"CIRCLE_WORKFLOW_JOB_ID": "0a1b-2c3d"}, "circleci-0a1b-2c3d"),
        ({"CIRCLE_WORKFLOW_JOB_ID": "j" * 200}, "circleci-" + "j" * 55),
        ({"CIRCLE_WORKFLOW_JOB_ID": ""}, "gitops-release"),
        ({}, "gitops-release"),
    ],
)
def test_an_aws_session_is_named_after_the_job(
    world: World, environ: Mapping[str, str], name: str
) -> None:
    found = world.identities(environ=environ).aws.session_name
    assert found == name
    assert len(found) <= 64


# Azure

PRINCIPAL: Final = {
    "AZURE_SP": "app-of-the-orb",
    "AZURE_SP_TENANT": "tenant-of-the-orb",
    "AZURE_SP_PASSWORD": "s3cret-of-the-orb",
}
GIVEN: Final = ("--azure-client-id", "app", "--azure-tenant-id", "tenant")


def test_nothing_given_is_nobody_on_azure(world: World) -> None:
    assert world.identities().azure == AzureIdentity()


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ((), PRINCIPAL, ("app-of-the-orb", "tenant-of-the-orb", "s3cret-of-the-orb")),
        # An id that was passed is proved by the job's token: the secret is another application's.
        (GIVEN, {}, ("app", "tenant", None)),
        (GIVEN, PRINCIPAL, ("app", "tenant", None)),
        (GIVEN[:2], PRINCIPAL, ("app", "tenant-of-the-orb", None)),
        (GIVEN[2:], PRINCIPAL, ("app-of-the-orb", "tenant", "s3cret-of-the-orb")),
        # Unless its secret was named as well.
        (
            (*GIVEN, "--azure-client-secret-env", "MY_SECRET"),
            {**PRINCIPAL, "MY_SECRET": "my-s3cret"},
            ("app", "tenant", "my-s3cret"),
        ),
        (
            ("--azure-client-secret-env", "MY_SECRET"),
            {**PRINCIPAL, "MY_SECRET": "my-s3cret"},
            ("app-of-the-orb", "tenant-of-the-orb", "my-s3cret"),
        ),
        # The orb passes every name.
        (
            (*GIVEN, "--azure-client-secret-env", "AZURE_SP_PASSWORD"),
            PRINCIPAL,
            ("app", "tenant", None),
        ),
        # No secret, no id: the token is the proof.
        ((), {**PRINCIPAL, "AZURE_SP_PASSWORD": ""}, ("app-of-the-orb", "tenant-of-the-orb", None)),
    ],
)
def test_azure_is_proved_by_a_secret_or_by_the_job(
    world: World,
    arguments: tuple[str, ...],
    environ: Mapping[str, str],
    expected: tuple[str | None, str | None, str | None],
) -> None:
    found = world.identities(*arguments, environ=environ).azure
    assert (found.client_id, found.tenant_id, revealed(found.client_secret)) == expected
    assert found.managed_identity is False


def test_azure_s_machine_may_be_asked(world: World) -> None:
    assert world.identities("--azure-managed-identity").azure.managed_identity is True


# What a checkout may say of it


@pytest.mark.parametrize(
    "line",
    [
        "registry-password-env: MY_PASSWORD",
        "aws-role-arn: arn:aws:iam::1:role/evil",
        "gcp-workload-identity-provider: projects/evil",
        "gcp-service-account: evil@example.com",
        "oidc-audience: evil",
        "azure-client-id: evil",
        "azure-tenant-id: evil",
        "azure-managed-identity: true",
        "allow-auth-host: [evil.test]",
        "aws-profile: evil",
    ],
)
def test_a_checkout_does_not_say_who_we_are(world: World, tmp_path: Path, line: str) -> None:
    (tmp_path / ".gitops-release.yml").write_text(f"defaults:\n  {line}\n")
    ended = world.command_line("describe-image", "--image", "r.example.com/app:1")
    assert ended.code == 2
    assert line.partition(":")[0] in ended.stderr
    assert world.opened == []


def _payload(exp: int) -> str:
    return base64.urlsafe_b64encode(f'{{"exp":{exp}}}'.encode()).decode().rstrip("=")
