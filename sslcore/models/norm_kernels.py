"""BatchNorm and LeakyReLU of a batch in half precision as one operation on an NVIDIA GPU, forward and backward.

A net as narrow as WRN-28-2 spends most of its time on moving activations. Apart, the two read or write them thirteen
times, here eight: once for the statistics, then in and out; on the way back twice for the sums, then twice in, once out.
Sums are float32, around the first pixel's values, so that a mean far from zero costs no digits; their order is fixed,
so the same input gives the same numbers. The twin is `F.leaky_relu(F.batch_norm(...))`.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from sslcore import kernels
from sslcore.kernels import Kernel

THREADS = 512
WIDTHS = (
    8,
    16,
    32,
    64,
    128,
    256,
)  # channels that the kernels can do: 16 bytes a load, and a warp ends at a pixel's end
FORMATS = (torch.bfloat16, torch.float16)
NAMES = ("statistics", "forward", "sums", "backward")
EACH = 4  # pixels a thread has in hand at once

_FORMAT = {
    torch.bfloat16: """
__device__ float2 wide(unsigned w) { return make_float2(__uint_as_float(w << 16), __uint_as_float(w & 0xffff0000u)); }
__device__ unsigned half2(float a, float b) { unsigned w; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a)); return w; }
""",
    torch.float16: """
__device__ float2 wide(unsigned w) {
    float2 f;
    asm("{ .reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b; }" : "=f"(f.x), "=f"(f.y) : "r"(w));
    return f;
}
__device__ unsigned half2(float a, float b) { unsigned w; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a)); return w; }
""",
}

# Images are (pixels, channels) here, as channels_last memory is. A thread sees the same 8 channels of many pixels.
_SOURCE = """
#define THREADS %(threads)d
#define WARPS (THREADS / 32)
#define EACH %(each)d
struct Eight { float v[8]; };

__device__ Eight load(const uint4* p) {
    uint4 w = *p;
    float2 a = wide(w.x), b = wide(w.y), c = wide(w.z), d = wide(w.w);
    return Eight{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y};
}
__device__ void store(uint4* p, const Eight& f) {
    *p = make_uint4(half2(f.v[0], f.v[1]), half2(f.v[2], f.v[3]), half2(f.v[4], f.v[5]), half2(f.v[6], f.v[7]));
}
__device__ Eight channels(const float* p, int g) {
    Eight f;
    for (int k = 0; k < 8; ++k) f.v[k] = p[8 * g + k];
    return f;
}

// Sum 16 numbers a thread over all threads of the same 8 channels, in all blocks: total[2 * C], first all first numbers.
// Returns true in the one block that ends last and so has them all; the count of blocks is then 0 again.
__device__ bool sum_up(float (&mine)[16], int groups, float* partial, unsigned* ended, float* total) {
    __shared__ __align__(16) float sums[WARPS][32][17];
    __shared__ bool last;
    const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5, width = 16 * groups;
    for (int offset = 16; offset >= groups; offset >>= 1)
        for (int k = 0; k < 16; ++k) mine[k] += __shfl_down_sync(0xffffffffu, mine[k], offset);
    if (lane < groups)
        for (int k = 0; k < 16; ++k) sums[warp][lane][k] = mine[k];
    __syncthreads();
    for (int j = thread; j < width; j += THREADS) {
        const int channel = j %% (8 * groups), k = channel %% 8 + (j < 8 * groups ? 0 : 8);
        float sum = 0;
        for (int w = 0; w < WARPS; ++w) sum += sums[w][channel / 8][k];
        partial[blockIdx.x * width + j] = sum;
    }
    __threadfence();
    __syncthreads();
    if (thread == 0) last = atomicInc(ended, gridDim.x - 1) == gridDim.x - 1;
    __syncthreads();
    if (!last) return false;
    __threadfence();
    float4* wide_sums = reinterpret_cast<float4*>(&sums[0][0][0]);
    const int quarter = width / 4, parts = THREADS / quarter, j = thread %% quarter;  // powers of two, quarter 128 at most
    float4 sum = make_float4(0, 0, 0, 0);
    #pragma unroll 8
    for (int b = thread / quarter; b < gridDim.x; b += parts) {
        const float4 one = __ldcg(reinterpret_cast<const float4*>(partial + b * width) + j);
        sum.x += one.x; sum.y += one.y; sum.z += one.z; sum.w += one.w;
    }
    wide_sums[thread] = sum;
    __syncthreads();
    if (thread < width) {
        const float* flat = &sums[0][0][0];
        float all = 0;
        #pragma unroll 4
        for (int p = 0; p < parts; ++p) all += flat[p * width + thread];
        total[thread] = all;
    }
    __syncthreads();
    return true;
}

extern "C" __global__ void __launch_bounds__(THREADS) statistics(
    const uint4* x, int pixels, int groups, float* partial, unsigned* ended,
    float* mean, float* scale, float* running_mean, float* running_var, int track, float momentum, float eps
) {
    __shared__ float total[512];
    const int g = threadIdx.x %% groups, rows = THREADS / groups, step = gridDim.x * rows;
    const Eight pivot = load(x + g);
    float sums[16] = {};
    #pragma unroll EACH
    for (int row = blockIdx.x * rows + threadIdx.x / groups; row < pixels; row += step) {
        const Eight f = load(x + (long long)row * groups + g);
        for (int k = 0; k < 8; ++k) {
            const float d = f.v[k] - pivot.v[k];
            sums[k] += d;
            sums[8 + k] += d * d;
        }
    }
    if (!sum_up(sums, groups, partial, ended, total)) return;
    const int c = threadIdx.x, width = 8 * groups;
    if (c >= width) return;
    const float d = total[c] / pixels, var = fmaxf(total[width + c] / pixels - d * d, 0.f), m = load(x + c / 8).v[c %% 8] + d;
    mean[c] = m;
    scale[c] = rsqrtf(var + eps);
    if (track) {
        running_mean[c] += momentum * (m - running_mean[c]);
        running_var[c] += momentum * (var * pixels / (pixels - 1.f) - running_var[c]);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) forward(
    const uint4* __restrict__ x, uint4* __restrict__ y, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope
) {
    const int g = threadIdx.x %% groups, rows = THREADS / groups, step = gridDim.x * rows;
    Eight a = channels(scale, g), b = channels(bias, g);
    const Eight w = channels(weight, g), m = channels(mean, g);
    for (int k = 0; k < 8; ++k) { a.v[k] *= w.v[k]; b.v[k] -= m.v[k] * a.v[k]; }
    #pragma unroll EACH
    for (int row = blockIdx.x * rows + threadIdx.x / groups; row < pixels; row += step) {
        Eight f = load(x + (long long)row * groups + g);
        for (int k = 0; k < 8; ++k) {
            const float z = f.v[k] * a.v[k] + b.v[k];
            f.v[k] = z > 0 ? z : slope * z;
        }
        store(y + (long long)row * groups + g, f);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) sums(
    const uint4* x, const uint4* dy, int pixels, int groups, float* partial, unsigned* ended,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, float* d_weight, float* d_bias
) {
    __shared__ float total[512];
    const int g = threadIdx.x %% groups, rows = THREADS / groups, step = gridDim.x * rows;
    const Eight m = channels(mean, g), b = channels(bias, g);
    Eight a = channels(scale, g);
    const Eight w = channels(weight, g);
    for (int k = 0; k < 8; ++k) a.v[k] *= w.v[k];
    float sums[16] = {};
    #pragma unroll EACH
    for (int row = blockIdx.x * rows + threadIdx.x / groups; row < pixels; row += step) {
        const Eight f = load(x + (long long)row * groups + g), e = load(dy + (long long)row * groups + g);
        for (int k = 0; k < 8; ++k) {
            const float h = f.v[k] - m.v[k], d = h * a.v[k] + b.v[k] > 0 ? e.v[k] : slope * e.v[k];
            sums[k] += d;
            sums[8 + k] += d * h;
        }
    }
    if (!sum_up(sums, groups, partial, ended, total)) return;
    const int c = threadIdx.x, width = 8 * groups;
    if (c >= width) return;
    d_bias[c] = total[c];
    d_weight[c] = total[width + c] * scale[c];
}

extern "C" __global__ void __launch_bounds__(THREADS) backward(
    const uint4* __restrict__ x, const uint4* __restrict__ dy, uint4* __restrict__ dx, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, const float* d_weight, const float* d_bias
) {
    const int g = threadIdx.x %% groups, rows = THREADS / groups, step = gridDim.x * rows;
    const Eight m = channels(mean, g), b = channels(bias, g), s = channels(scale, g), w = channels(weight, g);
    Eight a, p = channels(d_bias, g), q = channels(d_weight, g);
    for (int k = 0; k < 8; ++k) { a.v[k] = s.v[k] * w.v[k]; p.v[k] /= pixels; q.v[k] *= s.v[k] / pixels; }
    #pragma unroll EACH
    for (int row = blockIdx.x * rows + threadIdx.x / groups; row < pixels; row += step) {
        const Eight f = load(x + (long long)row * groups + g);
        Eight e = load(dy + (long long)row * groups + g);
        for (int k = 0; k < 8; ++k) {
            const float h = f.v[k] - m.v[k], d = h * a.v[k] + b.v[k] > 0 ? e.v[k] : slope * e.v[k];
            e.v[k] = a.v[k] * (d - p.v[k] - h * q.v[k]);
        }
        store(dx + (long long)row * groups + g, e);
    }
}
"""


@functools.cache
def source(dtype: torch.dtype) -> str:
    return _FORMAT[dtype] + _SOURCE % {"threads": THREADS, "each": EACH}


def _made(dtype: torch.dtype, device: int) -> dict[str, Kernel] | None:
    return kernels.built(source(dtype), NAMES, device)


def fits(x: Tensor) -> bool:
    """Say whether the kernels can do this batch."""
    return (
        x.is_cuda and kernels.in_use and x.dtype in FORMATS and x.shape[1] in WIDTHS and x.numel() > x.shape[1]
        and x.is_contiguous(memory_format=torch.channels_last) and not torch.compiler.is_compiling()
        and _made(x.dtype, x.device.index) is not None
    )  # fmt: skip


class NormLeaky(torch.autograd.Function):
    """LeakyReLU(BatchNorm(x)) with the batch's own statistics, for x (B, C, H, W) that `fits`; the running ones move in place if `track`.

    `ended`: one int32 zero, the layer's own, which is zero again after each call.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, ended: Tensor,
        track: bool, momentum: float, eps: float, slope: float,
    ) -> Tensor:  # fmt: skip
        made = _made(x.dtype, x.device.index)
        assert made is not None
        pixels, groups, blocks = _shape(x)
        partial = torch.empty(blocks, 2 * x.shape[1], device=x.device)
        mean, scale, y = torch.empty_like(weight), torch.empty_like(weight), torch.empty_like(x)
        made["statistics"](
            blocks, THREADS, x, pixels, groups, partial, ended, mean, scale, running_mean, running_var, int(track), momentum, eps
        )  # fmt: skip
        made["forward"](2 * blocks, THREADS, x, y, pixels, groups, mean, scale, weight, bias, slope)
        ctx.save_for_backward(x, weight, bias, mean, scale)
        ctx.ended, ctx.slope = ended, slope
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, scale = ctx.saved_tensors
        made = _made(x.dtype, x.device.index)
        assert made is not None
        dy = gradients[0].contiguous(memory_format=torch.channels_last)
        pixels, groups, blocks = _shape(x)
        partial = torch.empty(blocks, 2 * x.shape[1], device=x.device)
        d_weight, d_bias, dx = torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(x)
        given = (mean, scale, weight, bias, ctx.slope, d_weight, d_bias)
        made["sums"](blocks, THREADS, x, dy, pixels, groups, partial, ctx.ended, *given)
        made["backward"](2 * blocks, THREADS, x, dy, dx, pixels, groups, *given)
        return dx, d_weight, d_bias, *[None] * 7


def _shape(x: Tensor) -> tuple[int, int, int]:
    """Return pixels, groups of 8 channels and blocks: one a multiprocessor where there is work for them, so that the sums have few parts."""
    channels = x.shape[1]
    pixels, groups = x.numel() // channels, channels // 8
    most = torch.cuda.get_device_properties(x.device).multi_processor_count
    return pixels, groups, max(1, min(most, pixels * groups // (THREADS * EACH)))
