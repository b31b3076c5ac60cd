import pytest

from rllib_dreamerv3.agent.kernels.product_speed import faster_dtype, product_speeds


def test_both_types_are_measured():
    speeds = product_speeds()
    assert list(speeds) == ["float32", "bfloat16"]
    assert all(0.01 < speed < 1e6 for speed in speeds.values())


@pytest.mark.parametrize(
    ("float32", "bfloat16", "faster"),
    # AMD EPYC with avx512_bf16, Intel Xeon with AMX, emulation, and about as fast.
    [
        (220.0, 410.0, "bfloat16"),
        (140.0, 600.0, "bfloat16"),
        (200.0, 4.0, "float32"),
        (200.0, 260.0, "float32"),
    ],
)
def test_the_faster_one_is_chosen(float32, bfloat16, faster):
    assert faster_dtype({"float32": float32, "bfloat16": bfloat16}) == faster
