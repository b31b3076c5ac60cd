import imageio.v3 as imageio
import numpy as np
import pytest

from rllib_dreamerv3.reports.picture_files import FRAMES_A_SECOND, write_png, write_video

RNG = np.random.default_rng(0)


def moving_square(length=5, height=46, width=70):
    frames = np.zeros((length, height, width, 3), np.uint8)
    for time in range(length):
        frames[time, 10:30, 10 * time : 10 * time + 20] = [250, 60, 20]
    return frames


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_videos_keep_number_size_and_content_of_frames(tmp_path, ending):
    frames = moving_square()
    path = tmp_path / "new" / f"dream{ending}"
    write_video(path, frames)
    decoded = imageio.imread(path)
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 4
    assert np.abs(decoded[4, 20, 50].astype(int) - [250, 60, 20]).max() < 40
    assert [x.name for x in path.parent.iterdir()] == [path.name]


def test_videos_have_their_speed(tmp_path):
    path = tmp_path / "dream.mp4"
    write_video(path, moving_square(length=16))
    found = imageio.immeta(path, plugin="FFMPEG")
    assert found["fps"] == FRAMES_A_SECOND
    assert found["duration"] == pytest.approx(16 / FRAMES_A_SECOND, abs=0.2)
    assert found["codec"] == "h264"


def test_a_picture_is_kept_as_it_is(tmp_path):
    picture = RNG.integers(0, 256, (7, 5, 3), np.uint8)
    path = tmp_path / "new" / "dream.png"
    write_png(path, picture)
    np.testing.assert_array_equal(imageio.imread(path), picture)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.mp4 or \.gif"):
        write_video(tmp_path / "dream.avi", moving_square())


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_a_failure_leaves_what_was_there(tmp_path, ending):
    path = tmp_path / f"dream{ending}"
    path.mkdir()
    with pytest.raises(OSError, match=r"dream"):
        write_video(path, moving_square())
    assert list(tmp_path.iterdir()) == [path]
