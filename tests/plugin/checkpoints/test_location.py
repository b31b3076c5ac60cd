"""All ways to name a place are understood, and a place elsewhere is copied as a whole."""

from pathlib import Path

import fsspec
import pyarrow.fs
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from ray.tune import Checkpoint

from rllib_dreamerv3.checkpoints.manifest import files_of_checkpoint
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation


def test_paths_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = CheckpointLocation(str(tmp_path / "a b"))
    local = pyarrow.fs.LocalFileSystem()
    subtree = pyarrow.fs.SubTreeFileSystem(str(tmp_path), local)
    for path, filesystem in [
        ("a b", None),
        (Path("a b"), None),
        ("~/a b", None),
        (Path("~/a b"), None),
        (str(tmp_path / "a b"), None),
        (f"file://{tmp_path}/a b", None),
        (f"file://{tmp_path}/a%20b", None),
        (Path(f"file://{tmp_path}/a b"), None),
        (Checkpoint(str(tmp_path / "a b")), None),
        (str(tmp_path / "a b"), local),
        ("a b", subtree),
        ("/a b", subtree),
        (str(tmp_path / "a b"), fsspec.filesystem("file")),
    ]:
        assert CheckpointLocation.of(path, filesystem) == expected, (path, filesystem)


def test_uris_keep_their_slashes():
    with pytest.raises(CheckpointError, match="Pass it as a string"):
        CheckpointLocation.of(Path("s3://bucket/run"))
    with pytest.raises(CheckpointError, match="cannot be reached"):
        CheckpointLocation.of("nonsense://bucket/run")


def own_files(directory: Path) -> set[str] | None:
    manifest = directory / "manifest.json"
    return {manifest.name, f"part/{manifest.read_text()}"} if manifest.is_file() else None


def write(place: CheckpointLocation, content: str) -> None:
    with place.writing(own_files) as directory:
        (directory / "manifest.json").write_text(content)
        (directory / "part").mkdir()
        (directory / "part" / content).write_text(content)


@pytest.mark.parametrize("kind", ["memory", "subtree of memory", "mock"])
def test_places_elsewhere_are_replaced_as_a_whole(kind: str):
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    filesystem = {
        "memory": memory,
        "subtree of memory": pyarrow.fs.SubTreeFileSystem(
            "/top", pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(memory))
        ),
        "mock": pyarrow.fs._MockFileSystem(),
    }[kind]
    place = CheckpointLocation.of("runs/checkpoint", filesystem)
    with pytest.raises(CheckpointError, match="no directory"), place.reading():
        raise AssertionError("must not be reached")
    for content in ("first", "second"):
        write(place, content)
        with place.reading() as directory:
            files = sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*"))
            assert files == ["manifest.json", "part", f"part/{content}"]
            assert (directory / "manifest.json").read_text() == content
    assert place.filesystem is not None
    top = str(Path(place.path).parent)
    left = place.filesystem.get_file_info(pyarrow.fs.FileSelector(top))
    assert [Path(info.path).name for info in left] == ["checkpoint"]


def test_what_is_something_else_is_not_replaced_elsewhere():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/diary/notes.txt", b"dear diary")
    with pytest.raises(CheckpointError, match=r"notes\.txt.*not overwritten"):
        write(CheckpointLocation.of("/diary", memory), "new")
    assert memory.cat("/diary/notes.txt") == b"dear diary"


def test_an_error_while_writing_changes_nothing():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    place = CheckpointLocation.of("/run", memory)
    write(place, "old")

    def write_half() -> None:
        with place.writing(own_files) as directory:
            (directory / "manifest.json").write_text("half")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write_half()
    assert memory.cat("/run/manifest.json") == b"old"


class Unmovable(MemoryFileSystem):
    """Moves so many directories, and no more."""

    moves = 1

    def mv(self, path1, path2, **kwargs):
        if not Unmovable.moves:
            raise OSError("the connection was lost")
        Unmovable.moves -= 1
        super().mv(path1, path2, **kwargs)


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_files_of_others_are_kept_elsewhere(moves: int, monkeypatch: pytest.MonkeyPatch):
    memory = Unmovable()
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    place = CheckpointLocation.of("/top/run", memory)
    monkeypatch.setattr(Unmovable, "moves", 1)
    write(place, "old")
    memory.pipe("/top/run/notes.txt", b"mine")
    memory.pipe("/top/run/part/mine/notes.txt", b"mine, too")
    monkeypatch.setattr(Unmovable, "moves", moves)
    write(place, "new")
    assert memory.cat("/top/run/manifest.json") == b"new"
    assert memory.cat("/top/run/notes.txt") == b"mine"
    assert memory.cat("/top/run/part/mine/notes.txt") == b"mine, too"


def test_a_file_of_others_with_the_name_of_a_new_one_is_not_overwritten_elsewhere():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    place = CheckpointLocation.of("/run", memory)
    write(place, "old")
    memory.pipe("/run/new", b"mine")

    def write_more() -> None:
        with place.writing(own_files) as directory:
            (directory / "manifest.json").write_text("new")
            (directory / "new").mkdir()

    with pytest.raises(CheckpointError, match=r"/run/new is not part of the checkpoint"):
        write_more()
    assert memory.cat("/run/manifest.json") == b"old"
    assert memory.cat("/run/new") == b"mine"


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_nothing_else_is_left_where_moving_fails(moves: int, monkeypatch: pytest.MonkeyPatch):
    memory = Unmovable()
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    monkeypatch.setattr(Unmovable, "moves", 1)
    write(CheckpointLocation.of("/top/run", memory), "old")
    monkeypatch.setattr(Unmovable, "moves", moves)
    write(CheckpointLocation.of("/top/run", memory), "new")
    assert memory.cat("/top/run/manifest.json") == b"new"
    assert [entry["name"] for entry in memory.ls("/top")] == ["/top/run"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_no_checkpoint_takes_the_place_of_an_exported_policy(tmp_path: Path, elsewhere: bool):
    (tmp_path / "policy.json").write_text('{"format": "rllib_dreamerv3.exported_policy"}')
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for file in tmp_path.iterdir():
        memory.pipe(f"/policy/{file.name}", file.read_bytes())
    place = (
        CheckpointLocation.of("/policy", memory) if elsewhere else CheckpointLocation.of(tmp_path)
    )
    with (
        pytest.raises(CheckpointError, match="is an exported policy and is not overwritten"),
        place.writing(files_of_checkpoint),
    ):
        raise AssertionError("must not be reached")
    assert [file.name for file in tmp_path.iterdir()] == ["policy.json"]
