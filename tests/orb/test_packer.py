from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.orb.packer import PackError, Yaml, dump, pack

ORB: Final = Path(__file__).parents[2] / "orb"


def write(root: Path, **files: str) -> Path:
    for name, text in {"@orb.yml": "version: 2.1\ndescription: x\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def job_with(command: str) -> str:
    return f"steps: [{{run: {{name: n, command: {command!r}}}}}]\n"


def command_of(orb: dict[str, Yaml]) -> object:
    return yaml.safe_load(yaml.safe_dump(orb))["jobs"]["j"]["steps"][0]["run"]["command"]


def test_components_are_called_as_their_files(tmp_path: Path) -> None:
    write(tmp_path, **{"jobs/a.yml": "steps: [checkout]\n", "jobs/b.yaml": "steps: [checkout]\n"})
    assert pack(tmp_path)["jobs"] == {"a": {"steps": ["checkout"]}, "b": {"steps": ["checkout"]}}


def test_only_the_four_kinds_and_the_known_keys_are_kept(tmp_path: Path) -> None:
    orb = write(
        tmp_path,
        **{
            "@orb.yml": "version: 2.1\nunknown: 1\n",
            "scripts/x.yml": "a: 1\n",
            "jobs/sub/deep.yml": "steps: []\n",
            "jobs/.hidden.yml": "steps: []\n",
            "jobs/note.txt": "not YAML: [",
        },
    )
    assert pack(orb) == {"version": 2.1}


def test_an_at_file_merges_into_its_kind(tmp_path: Path) -> None:
    write(tmp_path, **{"commands/@all.yml": "one: {steps: [checkout]}\n"})
    assert pack(tmp_path)["commands"] == {"one": {"steps": ["checkout"]}}


def test_a_directory_without_orb_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"@orb\.yml"):
        pack(tmp_path)


def test_an_include_is_replaced_by_the_file_with_its_final_newline(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{"jobs/j.yml": job_with("<<include(scripts/x.sh)>>"), "scripts/x.sh": "echo hi\n"},
    )
    assert command_of(pack(tmp_path)) == "echo hi\n"


def test_double_angles_of_an_included_file_are_escaped(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "jobs/j.yml": job_with("<< include(scripts/x.sh) >>"),
            "scripts/x.sh": "cat <<EOF\n<< parameters.x >>\nEOF\n",
        },
    )
    assert command_of(pack(tmp_path)) == "cat \\<<EOF\n\\<< parameters.x >>\nEOF\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("set -e; <<include(scripts/x.sh)>>", "entire string"),
        ("<<include(scripts/x.sh)>><<include(scripts/x.sh)>>", "multiple"),
        ("<<include(scripts/absent.sh)>>", "could not open"),
    ],
)
def test_an_include_stands_alone_and_names_a_file(
    tmp_path: Path, command: str, message: str
) -> None:
    write(tmp_path, **{"jobs/j.yml": job_with(command), "scripts/x.sh": "true\n"})
    with pytest.raises(PackError, match=message):
        pack(tmp_path)


def test_includes_of_examples_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, **{"examples/e.yml": "usage: {a: '<<include(scripts/absent.sh)>>'}\n"})
    assert pack(tmp_path)["examples"] == {"e": {"usage": {"a": "<<include(scripts/absent.sh)>>"}}}


def test_our_orb_survives_being_written_and_read() -> None:
    packed = pack(ORB)
    text = dump(packed)
    assert yaml.safe_load(text) == packed
    assert "<<include" not in text


def test_anchors_and_merge_keys_are_resolved(tmp_path: Path) -> None:
    merged = "a: &a {x: 1, y: 2}\nsteps: [{c: {<<: *a, y: 3}}]\n"
    packed = pack(write(tmp_path, **{"jobs/j.yml": merged}))
    assert "{x: 1, y: 3}" in yaml.safe_dump(packed, default_flow_style=True)
