"""Which boxes are images, how they are read, and how they are resized."""

import logging
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import batch

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.portable.images import resize
from rllib_dreamerv3.spaces import images, leaves
from rllib_dreamerv3.spaces.codecs import ObservationCodec
from rllib_dreamerv3.spaces.layout import Image, Vector, fits_cnn, nearest_fitting_sides


@pytest.fixture(autouse=True)
def _nothing_was_logged_yet() -> None:
    leaves.warn_once.cache_clear()


def pixels(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def only_leaf(space: gym.Space, **options: Any) -> Any:
    (leaf,) = ObservationCodec(space, **options).layout.leaves
    return leaf


def sizes(codec: ObservationCodec) -> list[tuple[int, ...]]:
    return [image.shape for image in codec.layout.images]


# ---- What is an image, and which axis is which ---------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "height_width_channels"),
    [
        ((210, 160, 3), (210, 160, 3)),
        ((3, 210, 160), (210, 160, 3)),
        ((210, 160, 1), (210, 160, 1)),
        ((1, 210, 160), (210, 160, 1)),
        ((84, 84, 12), (84, 84, 12)),
        ((12, 84, 84), (84, 84, 12)),
        ((100, 80, 12), (100, 80, 12)),
        ((12, 100, 80), (100, 80, 12)),
        ((8, 8, 119), (8, 8, 119)),
        ((119, 8, 8), (8, 8, 119)),
        ((2, 6, 7), (6, 7, 2)),
        ((3, 7, 2), (3, 7, 2)),
        ((5, 5, 5), (5, 5, 5)),
        ((3, 3, 64), (3, 3, 64)),
    ],
)
def test_height_width_and_channels_are_distinguished(
    shape: tuple[int, ...], height_width_channels: tuple[int, ...]
) -> None:
    assert images.image_of(pixels(*shape), "").shape == height_width_channels


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 12])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_channels_are_stored_last(channels: int, dtype: Any) -> None:
    last = spaces.Box(0, 255, (64, 64, channels), dtype)
    first = spaces.Box(0, 255, (channels, 64, 64), dtype)
    _, values = batch(last, 2, 0)
    stored = "uint8" if dtype is np.uint8 else "float32"
    leaf = Image("obs/image", 64, 64, channels, low=0.0, high=255.0, dtype=stored)
    assert only_leaf(last) == only_leaf(first) == leaf
    for space, value in ((last, values), (first, np.moveaxis(values, -1, 1))):
        codec = ObservationCodec(space)
        column = codec.encode(value)["obs/image"]
        assert column.dtype == stored
        np.testing.assert_array_equal(column, values.astype(np.float32))
        np.testing.assert_allclose(codec.decode({"obs/image": column}), value, rtol=2e-7)


@pytest.mark.parametrize(
    ("space", "is_image"),
    [
        (pixels(8, 8), True),
        (pixels(7, 64), False),
        (spaces.Box(0, 254, (16, 16), np.uint8), False),
        (spaces.Box(0, 255, (16, 16), np.int16), False),
        (spaces.Box(0.0, 1.0, (64, 64)), True),
        (spaces.Box(-1.0, 1.0, (32, 32), np.float64), True),
        (spaces.Box(0, 255, (64, 64), np.int64), True),
        (spaces.Box(0.0, 1.0, (64, 31)), False),
        (spaces.Box(0.0, np.inf, (64, 64)), False),
        (spaces.Box(-1e30, 1e30, (64, 64)), False),
        (spaces.Box(0.0, 0.0, (64, 64)), False),
        (spaces.Box(0.0, np.linspace(1, 2, 4096, dtype=np.float32).reshape(64, 64)), False),
    ],
)
def test_which_matrices_are_gray_images(space: spaces.Box, is_image: bool) -> None:
    leaf = only_leaf(space)
    assert isinstance(leaf, Image if is_image else Vector)
    _, values = batch(space, 2, 0)
    codec = ObservationCodec(space)
    columns = codec.encode(values)
    if is_image:
        assert leaf.channels == 1
        assert (leaf.low, leaf.high) == (space.low.min(), space.high.max())
        assert columns["obs/image"].shape == (2, leaf.height, leaf.width, 1)
    if not is_image or leaf.height >= space.shape[0]:
        np.testing.assert_allclose(codec.decode(columns), values, rtol=2e-7)


def test_float_images_are_scaled_by_their_widest_bounds() -> None:
    low = np.full((8, 8, 2), -2.0, np.float32)
    high = np.full((8, 8, 2), 3.0, np.float32)
    low[0, 0, 0], high[5, 5, 1] = -4.0, 6.0
    leaf = only_leaf(spaces.Box(low, high))
    assert (leaf.low, leaf.high, leaf.dtype) == (-4.0, 6.0, "float32")


def test_image_without_bounds_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    space = spaces.Dict(eye=spaces.Box(-np.inf, np.inf, (5, 16, 16), np.float32))
    with caplog.at_level(logging.WARNING):
        codec = ObservationCodec(space)
        ObservationCodec(space).encode(batch(space, 2, 0)[1])
    assert codec.layout.leaves == (Image("obs/eye", 16, 16, 5, 0.0, 1.0, "float32"),)
    (record,) = caplog.records
    message = record.getMessage()
    assert "'obs/eye'" in message
    assert "16x16 pixels of 5 channels (the first axis)" in message
    assert "[0, 1]" in message
    assert "finite bounds" in message


# ---- Which size images get -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cnn", "side", "fits"),
    [
        *[("strided", side, True) for side in (8, 16, 32, 64, 128, 1024)],
        *[("strided", side, False) for side in (0, 1, 2, 4, 7, 48, 63, 65, 84, 96)],
        *[("pooled", side, True) for side in (48, 64, 80, 96, 256)],
        *[("pooled", side, False) for side in (0, 8, 16, 32, 47, 84, 100, 272, 512)],
    ],
)
def test_which_sides_fit(cnn: Any, side: int, fits: bool) -> None:
    assert fits_cnn(side, cnn) is fits
    if side:
        nearest = nearest_fitting_sides(side, cnn)
        assert all(fits_cnn(other, cnn) for other in nearest)
        assert (side in nearest) is fits


@pytest.mark.parametrize(
    ("cnn", "side", "nearest"),
    [
        ("strided", 84, (64, 128)),
        ("strided", 3, (8,)),
        ("strided", 64, (64, 128)),
        ("pooled", 84, (80, 96)),
        ("pooled", 32, (48,)),
        ("pooled", 1000, (256,)),
    ],
)
def test_nearest_fitting_sides(cnn: Any, side: int, nearest: tuple[int, ...]) -> None:
    assert nearest_fitting_sides(side, cnn) == nearest


@pytest.mark.parametrize(
    ("cnn", "shape", "side"),
    [
        ("strided", (64, 64, 3), 64),
        ("strided", (3, 128, 128), 128),
        ("strided", (8, 8), 8),
        ("strided", (96, 96, 3), 64),
        ("strided", (64, 32, 3), 64),
        ("strided", (7, 7, 3), 64),
        ("pooled", (96, 96, 3), 96),
        ("pooled", (64, 64), 64),
        ("pooled", (32, 32, 3), 64),
        ("pooled", (512, 512, 3), 64),
        ("pooled", (4, 84, 84), 64),
    ],
)
def test_sizes_that_fit_are_kept_and_others_become_64(
    cnn: Any, shape: tuple[int, ...], side: int
) -> None:
    leaf = only_leaf(pixels(*shape), cnn=cnn)
    assert (leaf.height, leaf.width) == (side, side)


def test_images_that_differ_in_size_all_become_64() -> None:
    space = spaces.Dict(a=pixels(32, 32, 3), b=pixels(1, 16, 16), c=spaces.Box(-1, 1, (4,)))
    assert sizes(ObservationCodec(space)) == [(64, 64, 3), (64, 64, 1)]


def test_image_size_sets_the_size_of_all() -> None:
    space = spaces.Dict(a=pixels(64, 64, 3), b=pixels(210, 160), c=spaces.Discrete(3))
    codec = ObservationCodec(space, 32)
    assert sizes(codec) == [(32, 32, 3), (32, 32, 1)]
    columns = codec.encode(batch(space, 3, 0)[1])
    assert columns["obs/a"].shape == (3, 32, 32, 3)
    assert columns["obs/b"].shape == (3, 32, 32, 1)
    assert ObservationCodec(spaces.Box(-1, 1, (4,)), 32).layout.leaves == (Vector("obs/vector", 4),)


@pytest.mark.parametrize(
    ("image_size", "cnn", "words"),
    [
        (100, "strided", "image_size=100 .*power of two.*nearest: 64 or 128"),
        (4, "strided", "nearest: 8"),
        (100, "pooled", "multiple of 16.*nearest: 96 or 112"),
        (32, "pooled", "nearest: 48"),
        (512, "pooled", "nearest: 256"),
        (0, "strided", "number of pixels"),
        (-64, "strided", "number of pixels"),
        (64.0, "strided", "number of pixels"),
        (True, "strided", "number of pixels"),
        ("64", "pooled", "number of pixels"),
    ],
)
def test_image_size_that_the_cnn_cannot_take(image_size: Any, cnn: Any, words: str) -> None:
    for space in (pixels(64, 64, 3), spaces.Discrete(2)):
        with pytest.raises(ConfigError, match=words):
            ObservationCodec(space, image_size, cnn=cnn)


def test_resizing_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    space = spaces.Dict(
        camera=pixels(210, 160, 3), fits=pixels(64, 64, 3), maps=spaces.Tuple([pixels(3, 10, 20)])
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            ObservationCodec(space).encode(batch(space, 2, 0)[1])
    (record,) = caplog.records
    message = record.getMessage()
    assert "\n" not in message
    assert "64x64" in message
    assert "'obs/camera' from 210x160" in message
    assert "'obs/maps/0' from 10x20" in message
    assert "obs/fits" not in message
    assert "image_size" in message


def test_nothing_is_logged_without_resizing_or_if_it_was_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        ObservationCodec(spaces.Dict(a=pixels(64, 64, 3), b=pixels(64, 64)))
        ObservationCodec(pixels(32, 32, 3), 32)
        ObservationCodec(pixels(210, 160, 3), 32)
        ObservationCodec(spaces.Box(-1, 1, (3,)))
    assert not caplog.records


# ---- What resizing does to pixels ----------------------------------------------------------------


def test_uint8_images_that_keep_their_size_are_not_copied() -> None:
    space = spaces.Dict(a=pixels(16, 16, 3))
    _, batched = batch(space, 4, 0)
    assert np.shares_memory(ObservationCodec(space).encode(batched)["obs/a"], batched["a"])


def area_weights(size: int, new: int) -> np.ndarray:
    """``float64 [new, size]``: the share of each old pixel in each new one, along one axis."""
    edges = np.linspace(0, size, new + 1)
    old = np.arange(size)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.clip(overlap, 0, None) * new / size


@pytest.mark.parametrize("shape", [(210, 160), (96, 96), (65, 128), (480, 640)])
def test_images_shrink_by_averaging_areas(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    rows, columns = area_weights(shape[0], 64), area_weights(shape[1], 64)
    expected = np.einsum("yh,nhwc,xw->nyxc", rows, values.astype(float), columns, optimize=True)
    resized = resize(values, 64, 64)
    assert resized.dtype == np.uint8
    np.testing.assert_allclose(resized, expected, rtol=0, atol=0.5001)
    as_floats = resize(values.astype(np.float32), 64, 64)
    assert as_floats.dtype == np.float32
    np.testing.assert_allclose(as_floats, expected, rtol=1e-5, atol=1e-3)


def test_uint8_is_rounded_not_truncated() -> None:
    checks = np.array([[0, 255], [255, 255]], np.uint8)
    values = np.tile(checks, (64, 64))[None, :, :, None]
    assert (resize(values, 64, 64) == 191).all()  # 191.25
    values[:, ::2, ::2] = 3
    assert (resize(values, 64, 64) == 192).all()  # 192.0
    values[:, ::2, ::2] = 1
    assert (resize(values, 64, 64) == 192).all()  # 191.5, to even


def test_images_grow_by_repeating_pixels() -> None:
    board = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    blocks = board.repeat(16, axis=1).repeat(16, axis=2)
    np.testing.assert_array_equal(resize(board, 64, 64), blocks)
    wide = np.arange(4 * 128, dtype=np.float32).reshape(1, 4, 128, 1)
    expected = wide.reshape(1, 4, 64, 2, 1).mean(axis=3).repeat(16, axis=1)
    np.testing.assert_allclose(resize(wide, 64, 64), expected, rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.integers(1, 5),
    st.sampled_from([np.uint8, np.int32, np.float32]),
    st.booleans(),
)
def test_enlarged_images_come_back_exactly(
    height: int, width: int, channels: int, dtype: Any, channels_first: bool
) -> None:
    shape = (channels, height, width) if channels_first else (height, width, channels)
    space = spaces.Box(0, 200, shape, dtype)
    _, values = batch(space, 2, 0)
    codec = ObservationCodec(space, 128)
    columns = codec.encode(values)
    assert columns["obs/image"].shape[1:3] == (128, 128)
    decoded = codec.decode(columns)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, values)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(8, 200),
    st.integers(8, 200),
    st.sampled_from([np.uint8, np.int16, np.float16, np.float64]),
    st.integers(0, 100),
)
def test_resized_images_stay_in_the_space(height: int, width: int, dtype: Any, seed: int) -> None:
    space = spaces.Box(3, 77, (height, width, 3), dtype)
    _, values = batch(space, 2, seed)
    codec = ObservationCodec(space, 16)
    (leaf,) = codec.layout.images
    columns = codec.encode(values)
    assert columns["obs/image"].dtype == leaf.dtype
    assert columns["obs/image"].min() >= leaf.low - 1e-4
    assert columns["obs/image"].max() <= leaf.high + 1e-4
    for image in codec.decode(columns):
        assert space.contains(image)
    flat = np.full_like(values, 50)
    np.testing.assert_allclose(codec.decode(codec.encode(flat)), flat, rtol=1e-3)
