"""Packaging of rllib_dreamerv3; the tools' settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

# Benchmark environments.
BSUITE = ["shimmy>=2", "bsuite>=0.3.6"]
CRAFTER = ["crafter>=1.8.3"]
# dm_control 1.0.50 allows MuJoCo 4, but reads a field of its models (flex_vertedge) that 4.0 lacks.
DMC = ["shimmy[dm-control]>=2", "mujoco<4"]
MINIGRID = ["minigrid>=3"]
# Formats of exported policies: tf2onnx converts, the others run them, as in the tests.
# tf2onnx below 1.17 calls functions that NumPy 2 no longer has.
EXPORT = ["ai-edge-litert>=2", "onnxruntime>=1.20", "tf2onnx>=1.17"]

# CUDA's libraries for TensorFlow, of the versions that it was built with.
GPU = ["tensorflow[and-cuda]>=2.21,<2.22"]

# The documents as a site.
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings-python>=2", "griffelib>=2"]

# What examples/ serves policies with. grpcio-reflection is all of ray[serve] that Ray Serve does
# not start without.
SERVE = ["fastapi>=0.100", "uvicorn>=0.20", "grpcio-reflection"]

# Of the benchmarks only MiniGrid: the others bring much that the tests would not use.
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6",
    "import-linter>=2.17",
    "optuna>=3",
    *MINIGRID,
    *DOCS,
    *SERVE,
    *EXPORT,
]
DEV = [*TEST, "ruff>=0.9", "mypy>=1.14", "types-PyYAML"]

setup(
    name="rllib-dreamerv3",
    version="0.1.0",
    description="DreamerV3 as an RLlib algorithm, on TensorFlow",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["rllib_dreamerv3*", "rllib_cli*"]),
    package_data={
        "rllib_dreamerv3": ["py.typed", "reports/reference/*.csv", "reports/page.html"],
        "rllib_cli": ["py.typed"],
    },
    install_requires=[
        # Ray below 2.56 has published remote-code-execution holes; from 2.61 on nothing was tried.
        "ray[rllib]>=2.56,<2.61",
        # TensorFlow Probability 0.25 runs on tf-keras, and tf-keras 2.21 on TensorFlow 2.21 alone.
        "tensorflow>=2.21,<2.22",
        "tf-keras>=2.21,<2.22",
        "tensorflow-probability>=0.25",
        # TensorFlow Probability imports distutils, which Python 3.12 no longer ships.
        "setuptools; python_version >= '3.12'",
        "gymnasium",
        "ale-py>=0.12",
        "click>=8.1",
        "rich>=13",
        "fsspec",
        # Pictures and videos of dreams; imageio-ffmpeg brings the encoder. Loaded when drawn.
        "imageio>=2.31",
        "imageio-ffmpeg>=0.5",
        "matplotlib>=3.8",
        "pillow>=10.1",
        "pyarrow",
        "pyyaml>=6",
        "safetensors>=0.5",
        "wrapt",
        "xxhash>=3",
    ],
    extras_require={
        "test": TEST,
        "dev": DEV,
        "bsuite": BSUITE,
        "crafter": CRAFTER,
        "dmc": DMC,
        "docs": DOCS,
        "export": EXPORT,
        "gpu": GPU,
        "minigrid": MINIGRID,
    },
    entry_points={"console_scripts": ["rllib = rllib_cli.main:main"]},
)
