"""Enables MuJoCo to render without a display, and in one process with TensorFlow.

``prepare_renderer`` must be called before dm_control is imported. RLlib imports dm_control if it is
installed, so it must be called before RLlib is imported, too. It does three things:

1. It imports TensorFlow. Without a GPU EGL and OSMesa use Mesa's software driver, which contains
   its own LLVM, as TensorFlow does. If dm_control loads the driver first, importing TensorFlow
   causes a segmentation fault (TensorFlow 2.21, Mesa 22.3).
2. It sets ``MUJOCO_GL``, which dm_control reads at import. Its default, GLFW, needs a display,
   which servers and containers do not have. Unless the user has set the variable, this selects EGL
   or OSMesa, whichever is installed.
3. It loads the driver with RTLD_DEEPBIND, so that it is linked with its own functions; dm_control
   then uses the loaded driver. Loaded by dm_control, it is linked with some of TensorFlow's
   functions, and the first image causes a segmentation fault.

If dm_control was imported first, it is too late: images are rejected, and with ``MUJOCO_GL`` set to
egl or osmesa the process may crash when it imports TensorFlow or ends.
"""

import ctypes
import os
import sys
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow


@cache
def prepare_renderer() -> bool:
    """Prepare rendering, once per process; does nothing if dm_control is not installed.

    Returns:
        False if dm_control was imported before.
    """
    if "dm_control" in sys.modules:
        return False
    if find_spec("dm_control"):
        prepare_tensorflow()
        _choose()
        _load_mesa()
    return True


def _choose() -> None:
    if "MUJOCO_GL" in os.environ:
        return
    if find_library("EGL") and (find_library("OpenGL") or find_library("GL")):
        os.environ["MUJOCO_GL"] = "egl"
    elif find_library("OSMesa"):
        os.environ["MUJOCO_GL"] = "osmesa"


def _load_mesa() -> None:
    deepbind = getattr(os, "RTLD_DEEPBIND", None)
    if deepbind is None:  # not Linux
        return
    folders = [folder for libs in ("lib/*/dri", "lib*/dri") for folder in Path("/usr").glob(libs)]
    drivers = [str(folder / "swrast_dri.so") for folder in folders]
    # From Mesa 24.2 on the driver is part of libEGL_mesa; OSMesa always contains one.
    for library in [*drivers, "libEGL_mesa.so.0", "libOSMesa.so.8"]:
        try:
            ctypes.CDLL(library, os.RTLD_NOW | deepbind)
        except OSError:
            continue  # not installed, or for another architecture


def check_renderer() -> None:
    """Check that images can be rendered.

    Raises:
        ConfigError: If they cannot; says what to do.
    """
    cannot = "MuJoCo cannot render images"
    display = bool(os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"})
    if not prepare_renderer() and not display:
        raise ConfigError(
            f"{cannot}: ray.rllib was imported before this package could prepare EGL or OSMesa. "
            "Put `from rllib_dreamerv3 import DreamerV3` before `import ray.rllib`."
        )
    if "MUJOCO_GL" not in os.environ and not display:
        raise ConfigError(
            f"{cannot}: there is no display, and neither EGL nor OSMesa is installed. "
            "Debian: apt-get install libegl1 libgl1, or apt-get install libosmesa6"
        )
