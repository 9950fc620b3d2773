"""The GPU's kernel for strong views, played on the CPU: its very source, as C++ with one thread a block, against the twin's bytes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from sslcore.augment import strong_kernel
from sslcore.augment.magnitudes import FILLS, PRESETS
from sslcore.augment.ops import OP_NAMES
from sslcore.augment.randaugment import apply_strong, draw_strong
from sslcore.config import AugmentConfig

COMPILER = shutil.which("g++") or shutil.which("clang++")
STAGE = """
#include <algorithm>
#include <cmath>
using std::max; using std::min;
#define __device__ static inline
#define __global__
#define __shared__ static
struct Place { int x; };
static Place threadIdx{0}, blockIdx{0};
static unsigned char pictures[1 << 16];
static void __syncthreads() {}
static int atomicAdd(int* p, int v) { const int old = *p; *p += v; return old; }
static int atomicMin(int* p, int v) { const int old = *p; *p = min(old, v); return old; }
static int atomicMax(int* p, int v) { const int old = *p; *p = max(old, v); return old; }
static float __fadd_rn(float a, float b) { return a + b; }
static float __fmul_rn(float a, float b) { return a * b; }
static double __dadd_rn(double a, double b) { return a + b; }
static double __dsub_rn(double a, double b) { return a - b; }
static double __dmul_rn(double a, double b) { return a * b; }
static double __ddiv_rn(double a, double b) { return a / b; }
"""
PLAY = """
extern "C" void play(int blocks, const byte* in, byte* out, const long long* ops, const float* values, const byte* applied,
                     const long long* boxes, int layers, int height, int width, int channels, int fill, int cutout_fill) {
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        strong(in, out, ops, values, applied, boxes, layers, height, width, channels, fill, cutout_fill);
}
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if COMPILER is None:
        pytest.skip("needs a C++ compiler")
    folder: Path = tmp_path_factory.mktemp("kernel")
    source = strong_kernel.source(OP_NAMES, threads=1)
    dynamic = "extern __shared__ byte pictures[];"
    assert dynamic in source
    (folder / "kernel.cpp").write_text(STAGE + source.replace(dynamic, "") + PLAY)
    flags = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", "kernel.so", "kernel.cpp"]
    subprocess.run([COMPILER, *flags], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "kernel.so"))


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (33, 20, 3), (7, 12, 1), (3, 3, 3), (2, 5, 1)])
def test_the_kernel_gives_the_bytes_of_its_twin(stage: ctypes.CDLL, preset: str, shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    for settings in ({}, {"strength": 1.7, "num_ops": 3, "fill": "black"}):
        config = AugmentConfig(preset=preset, **settings)  # type: ignore[arg-type]
        images = torch.randint(0, 256, (400, *shape), generator=generator, dtype=torch.uint8)
        images[::3] = images[::3] // 64 * 3 + 90  # few levels
        images[1::3] = images[1::3, :1, :1]  # a single one
        draw = draw_strong(len(images), *shape[:2], config, generator, "cpu")
        fills = (PRESETS[preset].frame_fill, PRESETS[preset].cutout_fill)  # type: ignore[union-attr]
        if config.fill is not None:
            fills = (FILLS[config.fill],) * 2
        out = torch.empty_like(images)
        tensors = [each.contiguous() for each in (draw.op, draw.value, draw.applied, draw.box)]
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (images, out, *tensors)]
        stage.play(len(images), *pointers, draw.op.shape[1], *shape, *fills)
        assert out.equal(apply_strong(images, draw, config))
