"""Directories that are whole or not there, whatever happens to the process that writes them."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rllib_dreamerv3.checkpoints import directory
from rllib_dreamerv3.errors import CheckpointError

FILES = 40


def everything(target: Path) -> set[str]:
    """All that is there may be replaced."""
    return {path.relative_to(target).as_posix() for path in target.rglob("*")}


def write(target: Path, content: str) -> None:
    with directory.replacing(target, everything) as written:
        for i in range(FILES):
            (written / f"{i:02}").write_text(content)


def content_of(target: Path) -> set[str]:
    """What the files hold; one value in a directory that was written by one call."""
    files = sorted(target.iterdir())
    assert len(files) == FILES
    return {file.read_text() for file in files}


WRITER = """
import os
import sys
from pathlib import Path
from rllib_dreamerv3.checkpoints import directory
if sys.argv[2] == "two-renames":
    directory._exchange = lambda one, other: False
print("ready", flush=True)
for n in range(10_000):
    with directory.replacing(Path(sys.argv[1]), os.listdir) as written:
        for i in range(40):
            (written / f"{i:02}").write_text(str(n))
"""


@pytest.mark.parametrize("way", ["exchange", "two-renames"])
def test_a_killed_writer_leaves_the_old_or_the_new(tmp_path: Path, way: str):
    target = tmp_path / "a" / "checkpoint"
    write(target, "first")
    rng = random.Random(0)
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target), way], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        directory.recover(target)
        assert len(content_of(target)) == 1
    # The next writer removes what the killed ones left.
    write(target, "last")
    assert content_of(target) == {"last"}
    assert os.listdir(target.parent) == ["checkpoint"]


def test_readers_never_find_it_missing(tmp_path: Path):
    target, done, missing, looks = tmp_path / "checkpoint", threading.Event(), 0, 0

    def write_one_file(n: int) -> None:
        with directory.replacing(target, everything) as written:
            (written / "00").write_text(str(n))

    def write_on() -> None:
        for n in range(200):
            write_one_file(n)
        done.set()

    write_one_file(-1)
    writer = threading.Thread(target=write_on)
    writer.start()
    while not done.is_set():
        looks += 1
        missing += not os.path.exists(target / "00")
    writer.join()
    assert looks > 1000
    assert not missing


def test_everything_is_on_the_disk_before_it_has_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target, flushed, fsync = tmp_path / "checkpoint", [], os.fsync
    write(target, "old")

    def noted(descriptor: int) -> None:
        content = {file.read_text() for file in target.iterdir()}
        flushed.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")), content))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(target, "new")
    *before, last = flushed
    assert last == (tmp_path, {"new"})
    assert {path.name for path, _ in before if path.parent != tmp_path} == {
        f"{i:02}" for i in range(FILES)
    }
    assert len({path for path, _ in before if path.parent == tmp_path}) == 1
    assert all(content == {"old"} for _, content in before)


def test_a_part_goes_with_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its files are brought to the disk once, and it has its name at once."""
    flushed, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with directory.replacing(tmp_path / "whole", everything) as written:
        write(written / "a" / "part", "new")
        assert content_of(written / "a" / "part") == {"new"}
        assert flushed == []
    assert content_of(tmp_path / "whole" / "a" / "part") == {"new"}
    assert all(flushed.count(f"{i:02}") == 1 for i in range(FILES))
    # A separate block again.
    write(tmp_path / "other", "new")
    assert all(flushed.count(f"{i:02}") == 2 for i in range(FILES))


def test_an_error_leaves_the_old_one(tmp_path: Path):
    target = tmp_path / "checkpoint"
    write(target, "old")

    def write_half() -> None:
        with directory.replacing(target, everything) as written:
            (written / "half").write_text("new")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write_half()
    assert content_of(target) == {"old"}
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_the_old_one_is_there_until_the_block_ends(tmp_path: Path):
    target = tmp_path / "checkpoint"
    write(target, "old")
    with directory.replacing(target, everything) as written:
        (written / "00").write_text("new")
        assert content_of(target) == {"old"}
    assert (target / "00").read_text() == "new"


def test_a_writer_at_work_is_left_alone(tmp_path: Path):
    target = tmp_path / "checkpoint"
    with directory.replacing(target, everything) as slow:
        (slow / "00").write_text("slow")
        write(target, "quick")
        assert (slow / "00").exists()
    assert (target / "00").read_text() == "slow"


def test_what_is_something_else_is_not_replaced(tmp_path: Path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "diary.txt").write_text("dear diary")
    with (
        pytest.raises(CheckpointError, match=r"diary\.txt.*not overwritten"),
        directory.replacing(notes, lambda _: None),
    ):
        raise AssertionError("must not be reached")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(CheckpointError, match="is a file"), directory.replacing(file, everything):
        raise AssertionError("must not be reached")


def test_an_empty_directory_and_a_link_are_filled(tmp_path: Path):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(real)
    with directory.replacing(link, lambda _: None) as written:
        (written / "00").write_text("x")
    assert link.is_symlink()
    assert (real / "00").read_text() == "x"
    assert real.stat().st_mode & 0o777 == 0o700


def test_names_with_pattern_letters(tmp_path: Path):
    target = tmp_path / "lr=[1]*"
    write(target, "old")
    write(target, "new")
    assert content_of(target) == {"new"}
    assert os.listdir(tmp_path) == [target.name]


def own_files(target: Path) -> list[str]:
    return ["model", "part/model"]


def test_files_of_others_are_kept(tmp_path: Path):
    target, elsewhere = tmp_path / "checkpoint", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (target / "part").mkdir(parents=True)
    (target / "notes").mkdir()
    for name in ("model", "part/model", "part/mine.txt", "notes/mine.txt"):
        (target / name).write_text("old")
    os.mkfifo(target / "pipe")
    (target / "link").symlink_to(elsewhere)
    (target / "dangling").symlink_to("nowhere")
    with directory.replacing(target, own_files) as written:
        (written / "new").write_text("new")
    kept = {"part/mine.txt", "notes/mine.txt", "pipe", "link", "dangling"}
    assert everything(target) == {"new", "part", "notes", *kept}
    assert (target / "part/mine.txt").read_text() == "old"
    assert (target / "pipe").is_fifo()
    assert (target / "link").readlink() == elsewhere


@pytest.mark.parametrize(("mine", "new"), [("a", "a"), ("a", "a/model"), ("a/mine", "a")])
def test_a_file_of_others_with_the_name_of_a_new_one_is_not_overwritten(
    tmp_path: Path, mine: str, new: str
):
    target = tmp_path / "checkpoint"
    for name in ("model", mine):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("old")

    def write() -> None:
        with directory.replacing(target, own_files) as written:
            (written / new).parent.mkdir(exist_ok=True)
            (written / new).write_text("new")

    with pytest.raises(CheckpointError, match=rf"/checkpoint/{mine} is not part"):
        write()
    assert (target / "model").read_text() == (target / mine).read_text() == "old"
    assert os.listdir(tmp_path) == ["checkpoint"]


@pytest.mark.parametrize("inside", [".", "part"])
def test_the_working_directory_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
):
    target = tmp_path / "checkpoint"
    (target / "part").mkdir(parents=True)
    monkeypatch.chdir(target / inside)
    with (
        pytest.raises(CheckpointError, match=r"contains, the working directory.*/checkpoint"),
        directory.replacing(target, own_files),
    ):
        raise AssertionError("must not be reached")
    # A new directory below it may be written.
    with directory.replacing(Path("new"), own_files) as written:
        (written / "model").write_text("new")
    assert Path("new/model").read_text() == "new"


def test_files_of_others_are_kept_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def not_supported(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", not_supported)
    target = tmp_path / "checkpoint"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    (target / "link").symlink_to("nowhere")
    with directory.replacing(target, own_files) as written:
        (written / "model").write_text("new")
    assert (target / "notes.txt").read_text() == "mine"
    assert os.readlink(target / "link") == "nowhere"
    assert (target / "model").read_text() == "new"


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="nothing is mounted there")
def test_mount_point_is_refused_before_anything_is_written():
    before = sorted(os.listdir("/dev/shm"))
    with (
        pytest.raises(CheckpointError, match=r"/dev/shm is a mount point.*/dev/shm/checkpoint\."),
        directory.replacing(Path("/dev/shm"), everything),
    ):
        raise AssertionError("must not be reached")
    assert sorted(os.listdir("/dev/shm")) == before


def test_directory_with_a_mount_point_below_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Removing it later would delete the files of what is mounted."""
    target = tmp_path / "checkpoint"
    write(target, "old")
    monkeypatch.setattr(directory, "mounts_in", lambda path: [path / "data"])
    with (
        pytest.raises(CheckpointError, match=r"checkpoint contains the mount point .*/data and"),
        directory.replacing(target, everything),
    ):
        raise AssertionError("must not be reached")
    assert content_of(target) == {"old"}
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_what_is_mounted_in_a_leftover_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leftover = tmp_path / f".checkpoint.{'0' * 32}.tmp"
    (leftover / "data").mkdir(parents=True)
    (leftover / "data" / "precious").touch()
    mounted = {leftover: [leftover / "data"]}
    monkeypatch.setattr(directory, "mounts_in", lambda path: mounted.get(path, []))
    write(tmp_path / "checkpoint", "new")
    assert (leftover / "data" / "precious").exists()


def test_files_that_are_written_while_the_new_content_is_synced_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "checkpoint"
    target.mkdir()
    to_disk = directory._to_disk

    def slow(path: Path) -> None:
        to_disk(path)
        (target / "notes.txt").write_text("mine")

    monkeypatch.setattr(directory, "_to_disk", slow)
    with directory.replacing(target, own_files) as written:
        (written / "model").write_text("new")
    assert (target / "notes.txt").read_text() == "mine"


def test_folders_of_others_keep_their_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    link = os.link

    def link_into_writable(old: Path, new: Path, **options: bool) -> None:
        assert new.parent.stat().st_mode & 0o200
        link(old, new, **options)

    monkeypatch.setattr(os, "link", link_into_writable)
    target = tmp_path / "checkpoint"
    private = target / "mine" / "private"
    private.mkdir(parents=True)
    (private / "notes.txt").write_text("mine")
    private.chmod(0o500)
    (target / "mine").chmod(0o750)
    with directory.replacing(target, own_files) as written:
        (written / "model").write_text("new")
    assert (private / "notes.txt").read_text() == "mine"
    assert (private.stat().st_mode & 0o777, private.parent.stat().st_mode & 0o777) == (0o500, 0o750)


def test_mount_point_that_does_not_show_is_refused_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A bind mount within one file system."""
    target = tmp_path / "checkpoint"
    write(target, "old")

    def busy(*_: object) -> bool:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(directory, "_exchange", busy)
    with pytest.raises(CheckpointError, match="checkpoint is a mount point"):
        write(target, "new")
    assert content_of(target) == {"old"}
    assert os.listdir(tmp_path) == ["checkpoint"]
