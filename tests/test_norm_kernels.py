"""The GPU's kernels for BatchNorm and LeakyReLU, played on the CPU: their very source as C++, a thread of the system for each of a block's."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore.kernels import _as_c
from sslcore.models import norm, norm_kernels
from sslcore.models.norm import BatchNorm
from sslcore.models.norm_kernels import NAMES, THREADS, WIDTHS

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
    generator = torch.Generator().manual_seed(channels)
    pixels = (3, 5, 7) if channels > 8 else (16, 15, 13)  # some threads have none, some more than one
    shape = (pixels[0], channels, *pixels[1:])
    offset = torch.linspace(-9, 9, channels)[:, None, None]
    x = (torch.randn(shape, generator=generator) + offset).to(played, memory_format=torch.channels_last)
    dy = torch.randn(shape, generator=generator).to(played, memory_format=torch.channels_last)
    layer = BatchNorm(channels, momentum=0.3)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2, generator=generator)
        layer.bias.uniform_(-1, 1, generator=generator)
    twin = BatchNorm(channels, momentum=0.3).double()
    twin.load_state_dict(layer.state_dict())
    wide, near = x.double().requires_grad_(), x.clone().requires_grad_()
    normal = F.batch_norm(wide, twin.running_mean, twin.running_var, twin.weight, twin.bias, True, 0.3, layer.eps)
    expected = F.leaky_relu(normal, 0.1)
    expected.backward(dy.double())

    got = layer(near, 0.1)
    got.backward(dy)
    assert layer.ended is not None and layer.ended.item() == 0, "what the blocks count in is zero again"
    digits = 2**-8 if played == torch.bfloat16 else 2**-10
    torch.testing.assert_close(got.double(), expected, rtol=digits, atol=1e-4)
    assert wide.grad is not None and near.grad is not None
    # Where a value lies at the bend of LeakyReLU, float64 may see it on the other side.
    far = (wide.grad - near.grad.double()).abs() > digits * wide.grad.abs() + 1e-4
    assert far.double().mean() < 1e-3
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(layer, name).double(), getattr(twin, name), rtol=1e-4, atol=1e-4)
    for ours, theirs in ((layer.weight, twin.weight), (layer.bias, twin.bias)):
        assert ours.grad is not None and theirs.grad is not None
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-3, atol=1e-4 * scale + 1e-3)

    before = layer.running_mean.clone()
    layer.track = False
    again = layer(near, 0.1)
    assert torch.equal(again, got) and torch.equal(layer.running_mean, before)


def test_a_block_is_as_on_the_gpu() -> None:
    assert f"#define THREADS {THREADS}" in norm_kernels.source(torch.bfloat16)
