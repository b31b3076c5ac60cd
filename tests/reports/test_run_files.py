"""Runs of somebody else's, whose files lead out of their folder or have no end."""

import base64
import os

import pytest
from written_run import result, write_run

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.page import build_page
from rllib_dreamerv3.reports.runs import find_runs

SECRET = b"a private key"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "id_rsa").write_bytes(SECRET)
    return write_run(tmp_path / "theirs" / "trial", [result(100, 1.0)])


def test_what_leads_out_of_the_folder_is_not_in_the_page(run, tmp_path):
    (run / "dreams").mkdir()
    (run / "dreams" / "a.png").symlink_to(tmp_path / "id_rsa")
    (run / "dreams" / "b.mp4").symlink_to("/dev/zero")
    os.mkfifo(run / "dreams" / "c.mp4")
    (run / "dreams" / "d.png").symlink_to("missing")
    page = build_page(find_runs([run]))
    assert base64.b64encode(SECRET).decode() not in page
    assert "a.png is a link that leads out of" in page
    assert "c.mp4 is not a regular file" in page
    assert "<img" not in page
    assert "<video" not in page


def test_nor_is_that_of_a_linked_folder(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(SECRET)
    (run / "dreams").symlink_to(tmp_path / "pictures")
    assert base64.b64encode(SECRET).decode() not in build_page(find_runs([run]))


def test_options_are_only_read_from_files_of_the_folder(tmp_path):
    # JSON is also YAML.
    (tmp_path / "outside").write_text('{"changed": {"env": "secret"}, "env": "secret"}')
    for number, target in enumerate(("outside", "/dev/zero", "pipe")):
        for name in ("config.yaml", "params.json"):
            run = write_run(tmp_path / "theirs" / f"{number}-{name}", [result(100, 1.0)])
            (run / name).unlink(missing_ok=True)
            if target == "pipe":
                os.mkfifo(run / name)
            else:
                (run / name).symlink_to(tmp_path / target)
    runs = find_runs([tmp_path / "theirs"])
    assert len(runs) == 6
    assert "secret" not in build_page(runs)


@pytest.mark.parametrize("target", ["outside.json", "/dev/zero", "pipe"])
def test_results_are_only_read_from_a_file_of_the_folder(run, tmp_path, target):
    (run / "result.json").rename(tmp_path / "outside.json")
    if target == "pipe":
        os.mkfifo(run / "result.json")
    else:
        (run / "result.json").symlink_to(tmp_path / target)
    with pytest.raises(CheckpointError, match="it is not read"):
        find_runs([run])


def test_aliases_of_aliases_are_not_written_out(run):
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = "\n".join(["a0: &a0 x", *levels, "changed: {lr: *a11}"])
    (run / "config.yaml").write_text(text)
    assert len(build_page(find_runs([run]))) < 1_000_000


OTHER_LINES = {
    "list": "[1]",
    "config": '{"config": 3}',
    "nested": '{"a": ' * 100_000,
    "lists": "[" * 100_000,
    "large": f'{{"num_env_steps_sampled_lifetime": 1{"0" * 400}}}',
}


def test_other_lines_than_results_are_left_out(tmp_path):
    for name, line in OTHER_LINES.items():
        run = write_run(tmp_path / "theirs" / name, [result(100, 1.0)])
        with open(run / "result.json", "a") as file:
            file.write(line + "\n")
        assert History.read(run).latest("num_env_steps_sampled_lifetime") == 100, name
    build_page(find_runs([tmp_path / "theirs"]))


def test_entries_of_another_kind_are_left_out(tmp_path):
    for entry in ("versions", "options", "changed"):
        run = write_run(tmp_path / "theirs" / entry, [result(100, 1.0)])
        (run / "config.yaml").write_text(f"{entry}: 3\n")
    build_page(find_runs([tmp_path / "theirs"]))


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    # The folder that it would be in has results.
    write_run(tmp_path / "run", [result(100, 1.0)])
    with pytest.raises(CheckpointError, match=r"There is no directory .*/run/misspelt\.$"):
        find_runs([tmp_path / "run" / "misspelt"])
