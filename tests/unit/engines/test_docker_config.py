from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.engines.docker_config import docker_config

HOST = "r.example.com:5000"
USER = Credentials("user", Secret("p:ss wörd"))


@pytest.fixture
def user(tmp_path: Path) -> Path:
    directory = tmp_path / "docker"
    directory.mkdir()
    return directory


def content(user: Path, host: str = HOST, credentials: Credentials | None = USER) -> dict[str, Any]:
    with docker_config({"DOCKER_CONFIG": str(user)}, host, credentials) as config:
        read: dict[str, Any] = json.loads((config.directory / "config.json").read_bytes())
    return read


def test_the_directory_is_private_and_gone_afterwards(user: Path) -> None:
    with docker_config({"DOCKER_CONFIG": str(user)}, HOST, USER) as config:
        directory, file = config.directory, config.directory / "config.json"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert config.environ["DOCKER_CONFIG"] == str(directory)
    assert not directory.exists()


def test_it_holds_the_credentials_of_one_host(user: Path) -> None:
    (auth,) = [entry["auth"] for entry in content(user)["auths"].values()]
    assert list(content(user)["auths"]) == [HOST]
    assert base64.b64decode(auth).decode() == "user:p:ss wörd"


def test_without_credentials_it_holds_none(user: Path) -> None:
    assert content(user, credentials=None)["auths"] == {}


def test_docker_hub_is_looked_up_under_its_first_address(user: Path) -> None:
    assert list(content(user, "docker.io")["auths"]) == ["https://index.docker.io/v1/"]


def test_no_login_of_the_user_is_copied(user: Path) -> None:
    own = {
        "auths": {"other.example.com": {"auth": "c2VjcmV0"}, HOST: {"auth": "b2xk"}},
        "credsStore": "desktop",
        "credHelpers": {HOST: "gcr"},
        "HttpHeaders": {"X-Token": "hunter22"},
        "proxies": {"default": {"httpProxy": "http://proxy.example.com"}},
        "currentContext": "remote",
        "cliPluginsExtraDirs": ["/opt/plugins"],
    }
    (user / "config.json").write_text(json.dumps(own))
    found = content(user)
    assert set(found) == {"auths", "cliPluginsExtraDirs", "currentContext", "proxies"}
    assert list(found["auths"]) == [HOST]
    assert found["currentContext"] == "remote"
    assert found["proxies"] == own["proxies"]


def test_the_user_s_plugins_are_found(user: Path) -> None:
    (user / "config.json").write_text('{"cliPluginsExtraDirs": ["/opt/plugins"]}')
    assert content(user)["cliPluginsExtraDirs"] == [str(user / "cli-plugins"), "/opt/plugins"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"cliPluginsExtraDirs": "x"}'])
def test_a_configuration_that_cannot_be_read_is_left_out(text: str | None, user: Path) -> None:
    if text is not None:
        (user / "config.json").write_text(text)
    assert content(user)["cliPluginsExtraDirs"] == [str(user / "cli-plugins")]


def test_the_user_s_contexts_and_builders_stay(user: Path) -> None:
    (user / "contexts").mkdir()
    (user / "contexts" / "meta").write_text("theirs")
    with docker_config({"DOCKER_CONFIG": str(user)}, HOST, USER) as config:
        assert (config.directory / "contexts" / "meta").read_text() == "theirs"
        assert config.environ["BUILDX_CONFIG"] == str(user / "buildx")
    assert (user / "contexts" / "meta").read_text() == "theirs"


def test_a_relative_directory_of_the_user_is_found(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user / "contexts").mkdir()
    monkeypatch.chdir(user.parent)
    with docker_config({"DOCKER_CONFIG": user.name}, HOST, USER) as config:
        assert (config.directory / "contexts").is_dir()


def test_builders_may_be_kept_elsewhere(user: Path) -> None:
    environ = {"DOCKER_CONFIG": str(user), "BUILDX_CONFIG": "/srv/buildx"}
    with docker_config(environ, HOST, USER) as config:
        assert {**environ, **config.environ}["BUILDX_CONFIG"] == "/srv/buildx"


def test_the_user_s_directory_is_in_the_home() -> None:
    with docker_config({"HOME": "/home/ada"}, HOST, USER) as config:
        assert config.user == Path("/home/ada/.docker")
