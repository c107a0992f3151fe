"""``make demo``: the program as a person runs it, with a real registry, docker and git."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins.dockerd import DockerDaemon
from tests.standins.registry import Registry
from tools import debian

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
PLACEHOLDER = "registry.example.com"
USER, PASSWORD = "demo", "a-password-that-is-not-shown"


@dataclass(frozen=True)
class Terminal:
    """A directory and an environment in which commands are shown and run."""

    directory: Path
    environ: Mapping[str, str]

    def run(self, *command: str, shown: str | None = None) -> str:
        """Run a command that must succeed, and return its standard output, which is shown too."""
        print(f"\n$ {shown or shlex.join(command)}", flush=True)
        ended = subprocess.run(
            command,
            cwd=self.directory,
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(ended.stdout, end="", flush=True)
        if ended.returncode != 0:
            sys.exit(f"the demonstration expected exit status 0, found {ended.returncode}")
        return ended.stdout.strip()

    def release_tool(self, *arguments: str) -> str:
        """Run ``gitops-release``, as this interpreter has it installed."""
        return self.run(
            *(sys.executable, "-m", "gitops_release", *arguments),
            shown=shlex.join(["gitops-release", *arguments]),
        )


def main() -> None:
    """Run the demonstration; whatever happens, nothing is left running or lying about."""
    with tempfile.TemporaryDirectory(prefix="gitops-release-demo-") as name:
        root = Path(name)
        with (
            DockerDaemon.running(root / "docker") as daemon,
            Registry.running(root / "registry", users={USER: PASSWORD}) as registry,
        ):
            environ = _environ(root, daemon.host)
            work = root / "work"
            _prepare(work, registry.host, environ)
            _show(Terminal(work, environ), registry.host)


def _show(terminal: Terminal, host: str) -> None:
    build = (
        *("build-and-push-image", "--registry", f"{host}/shop", "--image", "web"),
        *("--build-context", "app", "--build-arg", "GREETING=Hello, world; $$(no shell here)"),
        *("--tag", "1.1.0", "--output", "image.json"),
    )
    release = (
        *("create-release-pr", "--images-from", "image.json"),
        *("--manifest-repository", "./manifests"),
    )
    _say("1. Build the image, push it, and prove its digest")
    first = terminal.release_tool(*build)
    terminal.run("cat", "image.json")
    _say("2. What would a release change? A dry run needs no credentials and writes nothing")
    terminal.release_tool(*release, "--dry-run")
    _say("3. Release it: in a local repository the pull request is a branch")
    branch = terminal.release_tool(*release)
    terminal.run("git", "-C", "manifests", "diff", "--stat", "-p", f"main...{branch}")
    _say("4. Run both again: nothing is built, nothing is changed")
    again = terminal.release_tool(*build)
    terminal.release_tool(*release)
    if again != first:
        sys.exit(f"the demonstration expected {first} again, found {again}")
    _say("Done.")


def _environ(root: Path, docker_host: str) -> dict[str, str]:
    """Return the machine's environment without CircleCI's variables, and a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CIRCLE")}
    return {
        **kept,
        "HOME": str(root),
        "DOCKER_HOST": docker_host,
        "DOCKER_LOGIN": USER,
        "DOCKER_PASSWORD": PASSWORD,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def _prepare(work: Path, host: str, environ: Mapping[str, str]) -> None:
    """Lay out the application and the manifest repository, each committed to git."""
    busybox = debian.which("busybox")
    if busybox is None:
        sys.exit("the demonstration expected busybox on this machine, found none")
    for name in ("app", "manifests"):
        shutil.copytree(HERE / name, work / name)
    shutil.copy(busybox, work / "app" / "busybox")
    for manifest in (work / "manifests").iterdir():
        manifest.write_text(manifest.read_text("utf-8").replace(PLACEHOLDER, host), "utf-8")
    _commit(work / "manifests", environ)
    # Two repositories, as in CI: the application's does not know the manifests.
    (work / ".gitignore").write_text("/manifests/\n", "utf-8")
    _commit(work, environ)


def _commit(directory: Path, environ: Mapping[str, str]) -> None:
    identity = ("-c", "user.name=demo", "-c", "user.email=demo@example.com")
    for command in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "."),
        (*identity, "commit", "--quiet", "--message", "Start"),
    ):
        subprocess.run(["git", *command], cwd=directory, env=environ, check=True)


def _say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
