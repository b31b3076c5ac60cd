"""The page about runs: complete, escaped, and asking for nothing."""

import base64
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import imageio.v3 as imageio
import numpy as np
import pytest
from written_run import result, write_run

from rllib_dreamerv3.reports.findings import nothing_found
from rllib_dreamerv3.reports.losses import LOSSES, MEMORY, SPEED
from rllib_dreamerv3.reports.page import build_page
from rllib_dreamerv3.reports.picture_files import write_video
from rllib_dreamerv3.reports.runs import find_runs

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&$name"
EXPERIMENT = "<b onclick=x>mine\"'&"
SECTIONS = [
    "Runs",
    "Findings",
    "Returns",
    "Losses",
    "Dreams",
    "Speed and memory",
    "Options",
]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


class Reader(HTMLParser):
    """Elements, their attributes, and the text of headings; raises where tags do not match."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.headings, self.text, self._open = [], [], [], []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of two seeds on an environment with a hostile name, and of Pong."""
    tmp_path = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        config = {"env": HOSTILE, "seed": seed, HOSTILE: HOSTILE}
        results = [result(x, 5.0, evaluation=7.0, config=config) for x in (100, 200, 2_000)]
        write_run(tmp_path / EXPERIMENT / f"t_0000{seed}_x", results, config)
    config = {"env": "ale_py:ALE/Pong-v5"}
    results = [result(x, x / 10_000, config=config) for x in (1_000, 5_000, 9_000)]
    pong = write_run(tmp_path / "pong" / "trial", results, config)
    (pong / "dreams").mkdir()
    for number in range(6):
        (pong / "dreams" / f"{number}<i>.png").write_bytes(PIXEL)
        os.utime(pong / "dreams" / f"{number}<i>.png", (number, number))
    (pong / "dreams" / "d.mp4").write_bytes(b"film")
    (pong / "dreams" / "large.mp4").write_bytes(bytes(5_000_001))
    (pong / "reports").mkdir()
    (pong / "reports" / "open_loop_image_7.png").write_bytes(PIXEL)
    return build_page(find_runs([tmp_path]))


def test_everything_is_there(page):
    read = Reader(page)
    assert read.headings == SECTIONS
    said = "".join(read.text)
    for measure in (*LOSSES, *SPEED, *MEMORY):
        assert measure.sentence in said
    # Two for each environment, and one for each measure.
    assert len(read.all("svg")) == 4 + len(LOSSES) + len(SPEED) + len(MEMORY)
    assert "published, atari100k 2023" in said
    assert "Returns are all equal" not in said
    assert "model_size" in said
    anchors = {attributes.get("id") for _, attributes in read.elements}
    assert {link["href"].removeprefix("#") for link in read.all("a")} <= anchors


def test_the_first_and_the_newest_dreams_are_inside(page):
    read = Reader(page)
    shown = [image["alt"] for image in read.all("img")]
    assert shown == ["0<i>.png", "5<i>.png", "open_loop_image_7.png"]
    (film,) = read.all("video")
    assert film["src"] == "data:video/mp4;base64," + base64.b64encode(b"film").decode()
    said = "".join(read.text)
    assert re.search(r"large\.mp4 is too large to be read: 5\.0 MB", said)
    assert "4 more in the run's folder" in said


def test_videos_show_a_frame_before_they_are_played(tmp_path):
    run = write_run(tmp_path / "a" / "b", [result(100, 1.0)])
    write_video(run / "dreams" / "1.mp4", np.full((3, 32, 48, 3), 200, np.uint8))
    (film,) = Reader(build_page(find_runs([tmp_path]))).all("video")
    kind, _, content = film["poster"].partition(",")
    assert kind == "data:image/jpeg;base64"
    frame = imageio.imread(base64.b64decode(content))
    assert frame.shape == (32, 48, 3)
    assert abs(float(frame.mean()) - 200) < 5


def test_few_updates_are_reported_as_by_the_doctor(tmp_path):
    write_run(tmp_path / "a" / "b", [result(834, 1.0, config={"training_ratio": 1.0})])
    said = "".join(Reader(build_page(find_runs([tmp_path]))).text)
    assert "Too few updates to judge: 417 of 1,000." in said
    assert nothing_found(417) in said
    assert nothing_found(1000) == "Nothing looks wrong."


def test_nothing_is_fetched(page):
    read = Reader(page)
    for tag, attributes in read.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "poster", "srcset", "action"):
                assert value.startswith(("#", "data:")), (tag, name, value)
    for address in re.findall(r"url\(([^)]*)\)|@import", page):
        assert address.startswith("#")
    policy = next(x["content"] for x in read.all("meta") if "http-equiv" in x)
    assert policy.startswith("default-src 'none'")


def test_names_are_text(page):
    read = Reader(page)
    assert not read.all("script")
    assert not any(name.startswith("on") for _, every in read.elements for name in every)
    assert all(image["src"].startswith("data:image/png") for image in read.all("img"))
    assert not read.all("b")
    said = "".join(read.text)
    assert HOSTILE in said
    assert f"{EXPERIMENT}, 00001, seed=1" in said


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    early = {"training_iteration": 1, "config": {"env": "CartPole-v1"}}
    write_run(tmp_path / "a" / "b", [early])
    read = Reader(build_page(find_runs([tmp_path])))
    assert read.headings == SECTIONS


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_browser_shows_it_without_complaint(page, tmp_path):
    (tmp_path / "page.html").write_text(page)
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--window-size=390,1200", f"--screenshot={tmp_path / 'shot.png'}"),
            f"file://{tmp_path / 'page.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (tmp_path / "shot.png").stat().st_size > 10_000
    assert "CONSOLE" not in done.stderr
