"""The GPU's kernels for BatchNorm and LeakyReLU, played on the CPU: their very source as C++, a thread of the system for each of a block's."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sslcore.kernels import _as_c
from sslcore.models import norm, norm_kernels
from sslcore.models.norm_kernels import NAMES, THREADS, WIDTHS
from tests.reference_norm import assert_equals_float64, layer_and_input

COMPILER = shutil.which("g++") or shutil.which("clang++")
BLOCKS = 2
STAGE = """
#include <cmath>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <thread>
#include <vector>
#define __device__ static inline
#define __global__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(n)
struct Place { int x; };
static thread_local Place threadIdx{0};
static Place blockIdx{0}, gridDim{0};
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct uint4 { unsigned x, y, z, w; };
static float2 make_float2(float x, float y) { return {x, y}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static float rsqrtf(float v) { return 1 / std::sqrt(v); }
static float4 __ldcg(const float4* p) { return *p; }
static void __threadfence() {}
static unsigned atomicInc(unsigned* p, unsigned most) { const unsigned old = *p; *p = old >= most ? 0 : old + 1; return old; }
static pthread_barrier_t whole, warps[32];
static float lanes[32][32];
static void __syncthreads() { pthread_barrier_wait(&whole); }
static float __shfl_down_sync(unsigned, float value, int offset) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    lanes[warp][lane] = value;
    pthread_barrier_wait(&warps[warp]);
    const float found = lane + offset < 32 ? lanes[warp][lane + offset] : value;
    pthread_barrier_wait(&warps[warp]);
    return found;
}
static void launch(int blocks, int threads, std::function<void()> kernel) {
    pthread_barrier_init(&whole, nullptr, threads);
    for (int w = 0; w < threads / 32; ++w) pthread_barrier_init(&warps[w], nullptr, 32);
    gridDim.x = blocks;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
        std::vector<std::thread> all;
        for (int t = 0; t < threads; ++t) all.emplace_back([t, &kernel] { threadIdx.x = t; kernel(); });
        for (auto& each : all) each.join();
    }
}
"""
FORMATS = {
    torch.bfloat16: """
static float one(unsigned w) { w <<= 16; float f; std::memcpy(&f, &w, 4); return f; }
static unsigned half1(float f) { unsigned w; std::memcpy(&w, &f, 4); return (w + 0x7fff + (w >> 16 & 1)) >> 16; }
""",
    torch.float16: """
static float one(unsigned w) { const unsigned short s = w; _Float16 h; std::memcpy(&h, &s, 2); return h; }
static unsigned half1(float f) { const _Float16 h = f; unsigned short s; std::memcpy(&s, &h, 2); return s; }
""",
}
PAIRS = """
static float2 wide(unsigned w) { return {one(w & 0xffff), one(w >> 16)}; }
static unsigned half2(float a, float b) { return half1(a) | half1(b) << 16; }
"""
PLAY = """
#define PLAY(name, parameters, arguments) \\
    extern "C" void play_##name(int blocks, int threads, parameters) { launch(blocks, threads, [&] { name(arguments); }); }
#define ALSO ,
PLAY(statistics, const uint4* x ALSO int pixels ALSO int groups ALSO float* partial ALSO unsigned* ended ALSO float* mean ALSO float* scale
     ALSO float* running_mean ALSO float* running_var ALSO int track ALSO float momentum ALSO float eps,
     x ALSO pixels ALSO groups ALSO partial ALSO ended ALSO mean ALSO scale ALSO running_mean ALSO running_var ALSO track ALSO momentum ALSO eps)
PLAY(forward, const uint4* x ALSO uint4* y ALSO int pixels ALSO int groups ALSO const float* mean ALSO const float* scale ALSO const float* weight
     ALSO const float* bias ALSO float slope, x ALSO y ALSO pixels ALSO groups ALSO mean ALSO scale ALSO weight ALSO bias ALSO slope)
PLAY(sums, const uint4* x ALSO const uint4* dy ALSO int pixels ALSO int groups ALSO float* partial ALSO unsigned* ended ALSO const float* mean
     ALSO const float* scale ALSO const float* weight ALSO const float* bias ALSO float slope ALSO float* d_weight ALSO float* d_bias,
     x ALSO dy ALSO pixels ALSO groups ALSO partial ALSO ended ALSO mean ALSO scale ALSO weight ALSO bias ALSO slope ALSO d_weight ALSO d_bias)
PLAY(backward, const uint4* x ALSO const uint4* dy ALSO uint4* dx ALSO int pixels ALSO int groups ALSO const float* mean ALSO const float* scale
     ALSO const float* weight ALSO const float* bias ALSO float slope ALSO const float* d_weight ALSO const float* d_bias,
     x ALSO dy ALSO dx ALSO pixels ALSO groups ALSO mean ALSO scale ALSO weight ALSO bias ALSO slope ALSO d_weight ALSO d_bias)
"""


def built(folder: Path, dtype: torch.dtype) -> dict[str, Callable[..., None]]:
    """Return the kernels by name, called as those of a GPU are."""
    source = norm_kernels.source(dtype)
    assert source.startswith(norm_kernels._FORMAT[dtype])
    code = source.removeprefix(norm_kernels._FORMAT[dtype])  # the only lines in the GPU's own language
    (folder / "kernel.cpp").write_text(STAGE + FORMATS[dtype] + PAIRS + code + PLAY)
    flags = [
        "-std=c++17",
        "-O1",
        "-ffp-contract=off",
        "-pthread",
        "-w",
        "-shared",
        "-fPIC",
        "-o",
        "kernel.so",
        "kernel.cpp",
    ]
    subprocess.run([str(COMPILER), *flags], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "kernel.so"))

    def called(name: str) -> Callable[..., None]:
        play = getattr(library, f"play_{name}")
        play.restype = None
        return lambda *arguments: play(*map(_as_c, arguments))

    return {name: called(name) for name in NAMES}


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[torch.dtype, dict[str, Callable[..., None]]]:
    if COMPILER is None:
        pytest.skip("needs a C++ compiler")
    return request.param, built(tmp_path_factory.mktemp("kernel"), request.param)


@pytest.fixture
def played(made: tuple[torch.dtype, dict[str, Callable[..., None]]], monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Have BatchNorm take the kernels, on the CPU; the number format that they are for."""
    dtype, found = made

    def shape(x: Tensor) -> tuple[int, int, int]:
        return x.numel() // x.shape[1], x.shape[1] // 8, BLOCKS

    monkeypatch.setattr(norm_kernels, "_made", lambda *_: found)
    monkeypatch.setattr(norm_kernels, "_shape", shape)
    monkeypatch.setattr(norm, "fits", lambda x: x.dtype == dtype)
    return dtype


@pytest.mark.parametrize("channels", [min(WIDTHS), 64, max(WIDTHS)])
def test_the_kernels_equal_their_twin(played: torch.dtype, channels: int) -> None:
    """Against float64, forward and backward, with means far from zero; the running statistics move alike, or not at all."""
    pixels = (3, 5, 7) if channels > 8 else (16, 15, 13)  # some threads have none, some more than one
    assert_equals_float64(*layer_and_input((pixels[0], channels, *pixels[1:]), played, "cpu"), most_far=1e-3)


def test_a_block_is_as_on_the_gpu() -> None:
    assert f"#define THREADS {THREADS}" in norm_kernels.source(torch.bfloat16)
