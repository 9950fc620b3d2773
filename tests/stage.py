"""A GPU's kernels played on the CPU: their very source as C++, a thread of the system for each of a block's."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sslcore.kernels import _as_c
from sslcore.models.norm_kernels import HEADER

COMPILER = shutil.which("g++") or shutil.which("clang++")
SHARED = "extern __shared__ __align__(16) uint4 tiles[];"  # its size is given where a GPU's kernel is started
STAGE = """
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>
#define __device__ static inline
#define __global__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
using std::min;
struct Place { int x; };
static thread_local Place threadIdx{0};
static Place blockIdx{0}, gridDim{0};
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
static float2 make_float2(float x, float y) { return {x, y}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
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
# What half.cu has beside numbers. A lane publishes what it gives, and takes its part when all of its warp have come.
WARP = """
static const unsigned short* given_rows[32][32];
static unsigned given_a[32][32][4], given_b[32][32][2];
static unsigned of_row(int warp, int matrix, int row, int column) { return given_rows[warp][matrix * 8 + row][column]; }
static void load(unsigned (&to)[4], const void* row, bool turned) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, one = lane / 4, pair = lane % 4 * 2;
    given_rows[warp][lane] = static_cast<const unsigned short*>(row);
    pthread_barrier_wait(&warps[warp]);
    for (int m = 0; m < 4; ++m)
        to[m] = turned ? of_row(warp, m, pair, one) | of_row(warp, m, pair + 1, one) << 16
                       : of_row(warp, m, one, pair) | of_row(warp, m, one, pair + 1) << 16;
    pthread_barrier_wait(&warps[warp]);
}
static void load_four(unsigned (&to)[4], const void* row) { load(to, row, false); }
static void load_four_turned(unsigned (&to)[4], const void* row) { load(to, row, true); }
static float element(unsigned pair, int which) { const float2 f = wide(pair); return which ? f.y : f.x; }
static void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int k = 0; k < 4; ++k) given_a[warp][lane][k] = a[k];
    given_b[warp][lane][0] = b0;
    given_b[warp][lane][1] = b1;
    pthread_barrier_wait(&warps[warp]);
    for (int e = 0; e < 4; ++e) {
        const int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        for (int k = 0; k < 16; ++k) {
            const unsigned left = given_a[warp][row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2];
            c[e] += element(left, k % 2) * element(given_b[warp][column * 4 + k % 8 / 2][k / 8], k % 2);
        }
    }
    pthread_barrier_wait(&warps[warp]);
}
static void fetch(uint4* to, const uint4* from, bool there) { *to = there ? *from : uint4{0, 0, 0, 0}; }
static void fetched() {}
template <int N> static void wait_for_all_but() {}
alignas(16) static uint4 tiles[1 << 14];
"""
PLAY = """
template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) { kernel(*static_cast<A*>(arguments[I])...); }
template <class... A>
static void play(void (*kernel)(A...), int blocks, int threads, void** arguments) {
    launch(blocks, threads, [=] { call(kernel, arguments, std::index_sequence_for<A...>{}); });
}
"""
PLAYED = """
extern "C" void play_%(name)s(int blocks, int threads, void** arguments) { play(%(name)s, blocks, threads, arguments); }
"""


Made = tuple[torch.dtype, dict[str, Callable[..., None]]]


def fixture(source: Callable[[torch.dtype], str], names: tuple[str, ...]) -> Any:
    """Return a fixture for a test file: each number format with a source's kernels for it, played."""

    @pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
    def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
        if COMPILER is None:
            pytest.skip("needs a C++ compiler")
        return request.param, played(tmp_path_factory.mktemp("kernel"), request.param, source(request.param), names)

    return made


def played(folder: Path, dtype: torch.dtype, source: str, names: tuple[str, ...]) -> dict[str, Callable[..., None]]:
    """Return the kernels of a source by name, called as those of a GPU are, but for the bytes of shared memory."""
    # Without half.cu, which stands for the only lines in the GPU's own language.
    code = source.replace(HEADER.read_text(), "").replace(SHARED, "")
    entries = "".join(PLAYED % {"name": name} for name in names)
    (folder / "kernel.cpp").write_text(STAGE + FORMATS[dtype] + PAIRS + WARP + code + PLAY + entries)
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

        def start(blocks: int, threads: int, *arguments: Tensor | int | float, shared_bytes: int = 0) -> None:
            values = [_as_c(argument) for argument in arguments]
            play(blocks, threads, (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values)))

        return start

    return {name: called(name) for name in names}
