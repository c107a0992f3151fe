"""CircleCI's OIDC issuer, and a `circleci` program that asks it for tokens.

https://circleci.com/docs/openid-connect-tokens/: the organization's issuer, the claims and the
format of the subject. Clouds ask an issuer for its keys over HTTPS; the stand-ins of the clouds ask
the object here, and the documents are served all the same.
"""

from __future__ import annotations

import functools
import json
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.standins.clouds.fronts import Answer, Exchange, Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ROOT_ISSUER: Final = "https://oidc.circleci.com"
LIFETIME: Final = 3600
ALGORITHM: Final = "RS256"
KEY_ID: Final = "4f7a9c52-9d0b-4c1e-8b7e-52f1d6a3c0de"
CLAIM: Final = "oidc.circleci.com/"
# Where the program asks; CircleCI's own talks to the job's agent instead.
MINT: Final = "/agent/mint"

PROGRAM: Final = """\
#!{python} -I
# Stands in for CircleCI's program: it knows `circleci run oidc get` and nothing else.
import argparse, json, sys, urllib.error, urllib.request

parser = argparse.ArgumentParser(prog="circleci")
parser.add_argument("words", nargs=3, choices=("run", "oidc", "get"))
parser.add_argument("--claims", type=json.loads, default={{}})
parser.add_argument("--root-issuer", action="store_true")
given = parser.parse_args()
if given.words != ["run", "oidc", "get"]:
    parser.error("unknown command " + " ".join(given.words))
if set(given.claims) - {{"aud"}}:
    sys.exit("Error: only the claim aud can be set")
body = json.dumps({{"aud": given.claims.get("aud"), "root": given.root_issuer}}).encode()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
try:
    with opener.open("{url}", body) as response:
        print(response.read().decode())
except urllib.error.HTTPError as error:
    sys.exit("Error: " + error.read().decode())
except OSError as error:
    sys.exit(f"Error: {{error}}")
"""


@dataclass(frozen=True)
class Job:
    """The job that a token speaks for."""

    organization: str = "0b6e7c1e-3f5d-4c55-9c1f-6f2a4d1c8e90"
    project: str = "5d1f6f0a-8a0b-4f0e-9d6b-2f7c3a9e4b11"
    user: str = "c2a1b3d4-1e2f-4a5b-8c6d-7e8f9a0b1c2d"
    vcs_origin: str = "github.com/acme/shop"
    vcs_ref: str = "refs/heads/main"
    ssh_rerun: bool = False
    context_ids: tuple[str, ...] = ("1f0e9d8c-7b6a-4543-9210-fedcba987654",)
    job: str = field(default_factory=lambda: str(uuid.uuid4()))
    workflow: str = field(default_factory=lambda: str(uuid.uuid4()))
    pipeline: str = field(default_factory=lambda: str(uuid.uuid4()))
    pipeline_definition: str = "9e8d7c6b-5a49-4837-a625-1403f2e1d0c9"

    @property
    def issuer(self) -> str:
        """The organization's issuer."""
        return f"{ROOT_ISSUER}/org/{self.organization}"

    @property
    def short_subject(self) -> str:
        """The subject of CIRCLE_OIDC_TOKEN: 127 bytes, as all its parts are UUIDs."""
        return f"org/{self.organization}/project/{self.project}/user/{self.user}"

    @property
    def subject(self) -> str:
        """The subject of CIRCLE_OIDC_TOKEN_V2."""
        return f"{self.short_subject}/vcs-origin/{self.vcs_origin}/vcs-ref/{self.vcs_ref}"

    @property
    def claims(self) -> dict[str, Any]:
        """CircleCI's own claims."""
        own = {
            "context-ids": list(self.context_ids),
            "job-id": self.job,
            "org-id": self.organization,
            "pipeline-definition-id": self.pipeline_definition,
            "pipeline-id": self.pipeline,
            "project-id": self.project,
            "ssh-rerun": self.ssh_rerun,
            "vcs-origin": self.vcs_origin,
            "vcs-ref": self.vcs_ref,
            "workflow-id": self.workflow,
        }
        return {f"{CLAIM}{name}": value for name, value in own.items()}


class CircleCI(Front):
    """CircleCI as an issuer of tokens. `job` is the job that is running; a test may replace it.

    Requests of the program are among `requests`, at `MINT`, where `faults` can befall them; the
    tokens that it got are in `minted`.
    """

    def __init__(self, job: Job | None = None) -> None:
        super().__init__()
        self.job = job or Job()
        self.minted: list[str] = []

    @classmethod
    @contextmanager
    def running(cls, job: Job | None = None) -> Iterator[CircleCI]:
        """Serve for the body of a `with`."""
        with cls(job).serving() as issuer:
            yield issuer

    @property
    def issuer(self) -> str:
        """The issuer of the organization whose job is running."""
        return self.job.issuer

    def mint(
        self,
        audience: str | None = None,
        *,
        job: Job | None = None,
        expires_in: int = LIFETIME,
        issuer: str | None = None,
        subject: str | None = None,
        key: rsa.RSAPrivateKey | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        """Return a token as CIRCLE_OIDC_TOKEN_V2 has it, save for what is given.

        Without an audience it is the organization's. A token that `expires_in` less than nothing
        was valid for an hour before (Entra tolerates 300 s); one signed with another `key` names
        the right one.
        """
        job = job or self.job
        end = int(time.time()) + expires_in
        claims = {
            "iss": issuer or job.issuer,
            "sub": subject or job.subject,
            "aud": audience or job.organization,
            "iat": min(end - LIFETIME, int(time.time())) if expires_in < 0 else int(time.time()),
            "exp": end,
            **job.claims,
        }
        kept = {name: value for name, value in claims.items() if name not in without}
        return jwt.encode(kept, key or signing_key(), ALGORITHM, headers={"kid": KEY_ID})

    def verify(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """Return the claims of a token that this issuer has signed and that is valid now.

        The audience is compared if one is given. Raises PyJWT's errors.
        """
        return verified(token, self.jwks(), issuer=self.issuer, audience=audience)

    def verifier(self, audience: str) -> Callable[[str], Mapping[str, Any]]:
        """Return `verify` for one audience, as `Aws.running` wants it."""
        return functools.partial(self.verify, audience=audience)

    def jwks(self) -> dict[str, Any]:
        """Return the public keys."""
        return {"keys": [public_jwk(signing_key(), KEY_ID)]}

    def install(self, directory: Path) -> Path:
        """Write the program `circleci` into a directory for PATH, which is made if it is missing.

        It fails when `faults` say so: `Fault("POST", MINT, Reply(500, "no token"))`, and prints an
        empty token, with status 0, for `Reply(200, "")`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        program = directory / "circleci"
        url = f"http://127.0.0.1:{self.port}{MINT}"
        program.write_text(PROGRAM.format(python=sys.executable, url=url), encoding="utf-8")
        program.chmod(0o755)
        return program

    def answer(self, exchange: Exchange) -> None:
        """Answer the documents of the issuers, and the program."""
        received = exchange.received
        if (received.method, received.path) == ("POST", MINT):
            exchange.send(Answer(200, self._mint_for_program(json.loads(exchange.body())).encode()))
        elif received.method == "GET" and received.path in self._documents():
            exchange.send(Answer.of(200, self._documents()[received.path]))
        else:
            exchange.send(Answer.of(404, {"message": "Not found"}))

    def _mint_for_program(self, wanted: Mapping[str, Any]) -> str:
        issuer = ROOT_ISSUER if wanted["root"] else None
        token = self.mint(wanted["aud"], issuer=issuer)
        self.minted.append(token)
        return token

    def _documents(self) -> dict[str, dict[str, Any]]:
        documents = {}
        for issuer in (ROOT_ISSUER, self.issuer):
            path = f"{issuer.removeprefix(ROOT_ISSUER)}/.well-known/"
            documents[f"{path}openid-configuration"] = _configuration(issuer)
            documents[f"{path}jwks-pub.json"] = self.jwks()
        return documents


def _configuration(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks-pub.json",
        "claims_supported": ["aud", "sub", "iss", "iat", "exp"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "response_types_supported": ["id_token"],
        "scopes_supported": ["openid"],
        "subject_types_supported": ["public", "pairwise"],
    }


def verified(
    token: str, jwks: Mapping[str, Any], *, issuer: str, audience: str | None = None
) -> dict[str, Any]:
    """Return a token's claims after all checks that are asked for. Raises PyJWT's errors."""
    keys = jwt.PyJWKSet.from_dict(dict(jwks))
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
    except KeyError as error:
        raise jwt.InvalidKeyError("the key was not found") from error
    return jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        issuer=issuer,
        audience=audience,
        options={"require": ["aud", "exp", "iat", "sub"], "verify_aud": audience is not None},
    )


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    """Return CircleCI's key: one for this process, as making it takes a moment."""
    return new_key()


@functools.cache
def foreign_key() -> rsa.RSAPrivateKey:
    """Return a key that is nobody's."""
    return new_key()


def new_key() -> rsa.RSAPrivateKey:
    """Make a key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: rsa.RSAPrivateKey, identifier: str) -> dict[str, Any]:
    """Return the public half of a key for a JWKS."""
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": identifier, "use": "sig", "alg": ALGORITHM}
