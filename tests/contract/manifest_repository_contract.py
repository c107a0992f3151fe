"""What every manifest repository promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import pytest

from gitops_release.core.errors import ConflictError, ManifestError, UsageError
from gitops_release.core.git import Author, BaseCommit, trailers
from gitops_release.core.manifest import FileChange, FileMode, ManifestFile
from gitops_release.core.release_commit import RELEASE_TRAILER, TREE_TRAILER, is_untouched
from gitops_release.core.releasing import PublishBranch
from tests.fakes import SUBMODULE, SYMLINK, FakeCommit, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.ports import ManifestRepository

REGULAR: Final = FileMode.REGULAR.value
EXECUTABLE: Final = FileMode.EXECUTABLE.value
NEEDLES: Final = (b"example.com/app", b"example.com/other")
NAMED: Final = b"image: example.com/app:1\n"
RELEASE: Final = "app:2 0123456789abcdef"
BRANCH: Final = "release-app-2"
DELICATE: Final = {
    "crlf.yaml": b"a: 1\r\nimage: example.com/app:1\r\n",
    "mixed.yaml": b"a: 1\r\nb: 2\nc: 3\rimage: example.com/app:1\n",
    "bom.yaml": b"\xef\xbb\xbfimage: example.com/app:1\n",
    "no-newline.yaml": b"image: example.com/app:1",
    "not-utf-8.yaml": b"name: caf\xe9\nimage: example.com/app:1\n",
    "nul.yaml": b"\0image: example.com/app:1\n",
    "ident.yaml": b"# $Id$\nimage: example.com/app:1\n",
    "blanks.yaml": b"image: example.com/app:1  \t\n\n\n",
}


class ManifestWorld(Protocol):
    """A manifest repository, seen from behind."""

    repository: ManifestRepository

    @property
    def branches(self) -> Mapping[str, str]: ...

    def commit(self, branch: str, files: Tree, message: str = "a person's work") -> str:
        """Let the branch name a new commit of exactly these files, upon its tip."""
        ...

    def point(self, branch: str, commit: str) -> None:
        """Let the branch name a commit."""
        ...

    def commit_at(self, commit: str) -> FakeCommit:
        """Return a commit with all that its tree holds."""
        ...


class ManifestRepositoryContract:
    """Subclasses give the fixture ``world``: a repository without a commit, whose HEAD is main."""

    # Base

    def test_the_base_is_the_default_branch(self, world: ManifestWorld) -> None:
        main = world.commit("main", {"a.yaml": (REGULAR, b"a: 1\n")})
        world.commit("other", {"a.yaml": (REGULAR, b"a: 2\n")})

        assert world.repository.base(None) == BaseCommit("main", main)

    def test_the_base_is_the_branch_that_is_named(self, world: ManifestWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, b"a: 1\n")})
        other = world.commit("env/staging", {"a.yaml": (REGULAR, b"a: 2\n")})

        assert world.repository.base("env/staging") == BaseCommit("env/staging", other)

    @pytest.mark.parametrize("name", ["missing", "env", "main~1", "refs/heads/main", "-x"])
    def test_a_base_that_is_no_branch_is_an_error_of_the_request(
        self, world: ManifestWorld, name: str
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, b"a: 1\n")})
        world.commit("env/staging", {"a.yaml": (REGULAR, b"a: 2\n")})

        with pytest.raises(UsageError, match=f"expected a branch '{name}'"):
            world.repository.base(name)

    # Candidates

    def test_candidates_are_the_manifests_that_hold_a_needle_in_the_order_of_their_paths(
        self, world: ManifestWorld
    ) -> None:
        other = b"image: example.com/other:1\n"
        commit = world.commit(
            "main",
            {
                "z.yaml": (REGULAR, NAMED),
                "b/values.yml": (REGULAR, other),
                "b/Kustomization": (REGULAR, NAMED),
                "a.json": (REGULAR, NAMED),
                "b.d/x.yaml": (REGULAR, NAMED),
                "a b/ünï.yaml": (REGULAR, NAMED),
                "none.yaml": (REGULAR, b"image: example.com/third:1\n"),
                "README.md": (REGULAR, NAMED),
                "yaml": (REGULAR, NAMED),
                "a.yaml.tpl": (REGULAR, NAMED),
            },
        )

        found = candidates(world, commit)

        assert list(found) == [
            "a b/ünï.yaml",
            "a.json",
            "b.d/x.yaml",
            "b/Kustomization",
            "b/values.yml",
            "z.yaml",
        ]
        assert found["b/values.yml"] == ManifestFile("b/values.yml", FileMode.REGULAR, other)

    @pytest.mark.parametrize(
        ("globs", "expected"),
        [
            (["*.yaml"], ["a.yaml"]),
            (["**/*.yaml"], ["a.yaml", "env/prod/a.yaml", "env/stage/a.yaml"]),
            (["env/*/a.yaml"], ["env/prod/a.yaml", "env/stage/a.yaml"]),
            (["env/prod"], ["env/prod/a.yaml", "env/prod/notes.txt"]),
            (["./env/prod/"], ["env/prod/a.yaml", "env/prod/notes.txt"]),
            (["env/[ps]*/*.txt", "a.yaml"], ["a.yaml", "env/prod/notes.txt"]),
            (["env"], ["env/prod/a.yaml", "env/prod/notes.txt", "env/stage/a.yaml"]),
            (["A.yaml", "nothing/**"], []),
        ],
    )
    def test_globs_say_which_files_are_looked_at(
        self, world: ManifestWorld, globs: list[str], expected: list[str]
    ) -> None:
        paths = ("a.yaml", "env/prod/a.yaml", "env/prod/notes.txt", "env/stage/a.yaml")
        commit = world.commit("main", dict.fromkeys(paths, (REGULAR, NAMED)))

        assert list(candidates(world, commit, *globs)) == expected

    def test_symbolic_links_and_submodules_are_no_candidates(self, world: ManifestWorld) -> None:
        first = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        commit = world.commit(
            "main",
            {
                "a.yaml": (REGULAR, NAMED),
                "link.yaml": (SYMLINK, NAMED),
                "sub.yaml": (SUBMODULE, first.encode()),
            },
        )

        assert list(candidates(world, commit)) == ["a.yaml"]
        assert list(candidates(world, commit, "**")) == ["a.yaml"]

    def test_candidates_keep_their_mode(self, world: ManifestWorld) -> None:
        commit = world.commit("main", {"a.yaml": (EXECUTABLE, NAMED), "b.yaml": (REGULAR, NAMED)})

        modes = [file.mode for file in candidates(world, commit).values()]

        assert modes == [FileMode.EXECUTABLE, FileMode.REGULAR]

    def test_the_content_of_candidates_is_exact(self, world: ManifestWorld) -> None:
        commit = world.commit("main", {path: (REGULAR, text) for path, text in DELICATE.items()})

        found = candidates(world, commit)

        assert {path: file.content for path, file in found.items()} == DELICATE

    def test_candidates_are_those_of_the_commit_and_not_of_the_branch(
        self, world: ManifestWorld
    ) -> None:
        old = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        world.commit("main", {"b.yaml": (REGULAR, NAMED)})

        assert list(candidates(world, old)) == ["a.yaml"]

    # Reading

    def test_a_branch_has_a_commit(self, world: ManifestWorld) -> None:
        sha = world.commit("some/branch", {"a.yaml": (REGULAR, NAMED)}, "Ünïcode\n\nBody\n")

        found = world.repository.commit_of("some/branch")

        expected = world.commit_at(sha)
        assert found is not None
        assert (found.sha, found.tree) == (sha, expected.tree)
        assert (found.message, found.author) == (expected.message, expected.author)

    def test_a_missing_branch_has_no_commit(self, world: ManifestWorld) -> None:
        world.commit("some/branch", {"a.yaml": (REGULAR, NAMED)})

        assert world.repository.commit_of("missing") is None
        assert world.repository.commit_of("some") is None
        assert world.repository.commit_of("some/branch/more") is None

    def test_files_are_read_as_they_are(self, world: ManifestWorld) -> None:
        files = {path: (REGULAR, text) for path, text in DELICATE.items()}
        commit = world.commit("main", {**files, "dir/*.txt": (EXECUTABLE, b"starred")})

        read = world.repository.read(commit, [*DELICATE, "dir/*.txt"])

        assert read == {**DELICATE, "dir/*.txt": b"starred"}

    def test_what_is_no_regular_file_is_not_read(self, world: ManifestWorld) -> None:
        first = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        commit = world.commit(
            "main",
            {
                "dir/a.yaml": (REGULAR, NAMED),
                "link.yaml": (SYMLINK, b"dir/a.yaml"),
                "sub.yaml": (SUBMODULE, first.encode()),
            },
        )
        paths = ("a.yaml", "dir", "link.yaml", "sub.yaml", "dir/?.yaml")

        assert world.repository.read(commit, paths) == dict.fromkeys(paths)
        assert world.repository.read(commit, ()) == {}

    # Publishing

    def test_who_may_publish_is_not_told_otherwise(self, world: ManifestWorld) -> None:
        main = world.commit("main", {"a.yaml": (REGULAR, NAMED)})

        world.repository.check_writable()

        assert world.branches == {"main": main}

    def test_a_new_branch_is_one_commit_upon_the_base(self, world: ManifestWorld) -> None:
        files = {"a.yaml": (REGULAR, NAMED), "dir/b": (EXECUTABLE, b"b"), "l": (SYMLINK, b"dir/b")}
        base = world.commit("main", files)

        made = world.repository.publish(action(world, {"a.yaml": b"image: example.com/app:2\n"}))

        assert world.branches == {"main": base, BRANCH: made}
        commit = world.commit_at(made)
        assert commit.parents == (base,)
        assert commit.files == {**files, "a.yaml": (REGULAR, b"image: example.com/app:2\n")}

    def test_the_message_names_the_release_and_its_own_tree(self, world: ManifestWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        made = world.repository.publish(action(world, {"a.yaml": b"2"}, "Release app 2\n\nBody"))

        commit = world.repository.commit_of(BRANCH)

        assert commit is not None
        assert commit.sha == made
        assert commit.message.startswith("Release app 2\n\nBody\n\n")
        assert trailers(commit.message) == {
            RELEASE_TRAILER: RELEASE,
            TREE_TRAILER: world.commit_at(made).tree,
        }
        assert is_untouched(commit)

    @pytest.mark.parametrize("author", [None, Author("Rélease Bot", "bot@example.com")])
    def test_the_author_is_whom_the_release_names(
        self, world: ManifestWorld, author: Author | None
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})

        made = world.repository.publish(action(world, {"a.yaml": b"2"}, author=author))

        found = world.commit_at(made).author
        assert found == str(author) if author else Author.parse(found)

    def test_published_content_is_exact(self, world: ManifestWorld) -> None:
        world.commit("main", dict.fromkeys(DELICATE, (REGULAR, b"old")))

        made = world.repository.publish(action(world, DELICATE))

        assert world.commit_at(made).files == {
            path: (REGULAR, content) for path, content in DELICATE.items()
        }

    def test_published_files_keep_their_mode(self, world: ManifestWorld) -> None:
        world.commit("main", {"a/b c.yaml": (EXECUTABLE, NAMED)})

        made = world.repository.publish(action(world, {"a/b c.yaml": b"2"}))

        assert world.commit_at(made).files == {"a/b c.yaml": (EXECUTABLE, b"2")}

    def test_a_branch_goes_on_from_its_head_with_the_bases_files(
        self, world: ManifestWorld
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        head = world.repository.publish(action(world, {"a.yaml": b"2"}))
        base = world.commit("main", {"a.yaml": (REGULAR, NAMED), "new": (REGULAR, b"new")})

        made = world.repository.publish(action(world, {"a.yaml": b"3"}, head=head))

        assert world.branches == {"main": base, BRANCH: made}
        commit = world.commit_at(made)
        assert commit.parents == (head, base)
        assert commit.files == {"a.yaml": (REGULAR, b"3"), "new": (REGULAR, b"new")}

    def test_a_branch_that_exists_is_a_conflict(self, world: ManifestWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        world.commit(BRANCH, {"a.yaml": (REGULAR, b"somebody else's")})

        assert_conflict(world, action(world, {"a.yaml": b"2"}))

    def test_a_branch_that_has_moved_on_is_a_conflict(self, world: ManifestWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        head = world.repository.publish(action(world, {"a.yaml": b"2"}))
        world.commit(BRANCH, {"a.yaml": (REGULAR, b"somebody else's")})

        assert_conflict(world, action(world, {"a.yaml": b"3"}, head=head))

    def test_a_branch_that_has_moved_back_is_a_conflict(self, world: ManifestWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        first = world.repository.publish(action(world, {"a.yaml": b"2"}))
        head = world.repository.publish(action(world, {"a.yaml": b"3"}, head=first))
        world.point(BRANCH, first)

        assert_conflict(world, action(world, {"a.yaml": b"4"}, head=head))

    def test_a_branch_that_is_gone_is_a_conflict(self, world: ManifestWorld) -> None:
        base = world.commit("main", {"a.yaml": (REGULAR, NAMED)})

        assert_conflict(world, action(world, {"a.yaml": b"3"}, head=base))

    def test_a_branch_whose_name_is_blocked_by_another_is_a_conflict(
        self, world: ManifestWorld
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        world.commit("release/app", {"a.yaml": (REGULAR, NAMED)})

        assert_conflict(world, action(world, {"a.yaml": b"2"}, branch="release"))
        assert_conflict(world, action(world, {"a.yaml": b"2"}, branch="release/app/2"))


class HostileTreeContract:
    """What holds for repositories that others write: paths that no git would check out."""

    @pytest.mark.parametrize("path", [".GIT/a.yaml", "x/git~1/a.yaml", ".g\u200cit/a.yaml"])
    def test_a_path_that_is_a_git_directory_somewhere_is_refused(
        self, world: ManifestWorld, path: str
    ) -> None:
        commit = world.commit("main", {path: (REGULAR, NAMED), "b.yaml": (REGULAR, NAMED)})

        with pytest.raises(ManifestError, match="plain relative path") as refused:
            candidates(world, commit)

        assert "damaged or hostile" in (refused.value.hint or "")


def candidates(world: ManifestWorld, commit: str, *globs: str) -> dict[str, ManifestFile]:
    return {file.path: file for file in world.repository.candidates(commit, globs, NEEDLES)}


def action(
    world: ManifestWorld,
    contents: Mapping[str, bytes],
    message: str = "Release app 2",
    *,
    branch: str = BRANCH,
    head: str | None = None,
    author: Author | None = None,
) -> PublishBranch:
    """Return the action that gives files at the base's tip other contents."""
    base = world.repository.base("main")
    files = world.commit_at(base.sha).files
    changes = tuple(
        FileChange(path, FileMode(files[path][0]), files[path][1], content, ())
        for path, content in contents.items()
    )
    return PublishBranch(branch, base, head, changes, message, RELEASE, author)


def assert_conflict(world: ManifestWorld, doomed: PublishBranch) -> None:
    before = dict(world.branches)

    with pytest.raises(ConflictError):
        world.repository.publish(doomed)

    assert world.branches == before
