// BatchNorm and LeakyReLU of a batch in half precision: see norm_kernels.py, which defines THREADS and puts half.cu before it.
//
// Images are (pixels, channels) here, as channels_last memory is. A thread sees the same 8 channels, 16 bytes, of many pixels;
// `groups` = channels / 8.

#define WARPS (THREADS / 32)

struct Eight { float v[8]; };

__device__ Eight unpacked(const uint4& w) {
    const float2 a = wide(w.x), b = wide(w.y), c = wide(w.z), d = wide(w.w);
    return Eight{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y};
}
__device__ uint4 packed(const Eight& f) {
    return make_uint4(half2(f.v[0], f.v[1]), half2(f.v[2], f.v[3]), half2(f.v[4], f.v[5]), half2(f.v[6], f.v[7]));
}
__device__ uint4 added(const uint4& a, const uint4& b) {  // rounded, as a sum of tensors is
    Eight f = unpacked(a);
    const Eight g = unpacked(b);
    for (int k = 0; k < 8; ++k) f.v[k] += g.v[k];
    return packed(f);
}
__device__ Eight channels(const float* p, int g) {
    Eight f;
    for (int k = 0; k < 8; ++k) f.v[k] = p[8 * g + k];
    return f;
}

// Call work(at, values of the N inputs) for every pixel of this thread. Memory answers late, so 8 loads are on their way
// before the first value is used; left to itself the compiler waits for each.
template <int N, class Work>
__device__ void for_pixels(const uint4* const (&inputs)[N], int pixels, int groups, Work work) {
    constexpr int EACH = 8 / N;
    const int g = threadIdx.x % groups, rows = THREADS / groups, step = gridDim.x * rows;
    for (int row = blockIdx.x * rows + threadIdx.x / groups; row < pixels; row += EACH * step) {
        uint4 got[EACH][N];
        #pragma unroll
        for (int e = 0; e < EACH; ++e)
            if (row + e * step < pixels)
                for (int n = 0; n < N; ++n) got[e][n] = inputs[n][(long long)(row + e * step) * groups + g];
        #pragma unroll
        for (int e = 0; e < EACH; ++e)
            if (row + e * step < pixels) work((long long)(row + e * step) * groups + g, got[e]);
    }
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
        const int channel = j % (8 * groups), k = channel % 8 + (j < 8 * groups ? 0 : 8);
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
    const int quarter = width / 4, parts = THREADS / quarter, j = thread % quarter;  // powers of two, quarter 128 at most
    float4 sum = make_float4(0, 0, 0, 0);
    for (int b = thread / quarter; b < gridDim.x; b += 8 * parts) {
        float4 some[8];  // at once, as in for_pixels
        #pragma unroll
        for (int k = 0; k < 8; ++k)
            if (b + k * parts < gridDim.x) some[k] = __ldcg(reinterpret_cast<const float4*>(partial + (b + k * parts) * width) + j);
        #pragma unroll
        for (int k = 0; k < 8; ++k)
            if (b + k * parts < gridDim.x) { sum.x += some[k].x; sum.y += some[k].y; sum.z += some[k].z; sum.w += some[k].w; }
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

// The mean and 1 / deviation of each channel of x (N = 1), or of sum = x + also (N = 2), which is written on the way.
// Sums are taken around the first pixel's values, so that a mean far from zero costs no digits.
template <int N>
__device__ void statistics_of(
    const uint4* const (&inputs)[N], uint4* sum, int pixels, int groups, float* partial, unsigned* ended,
    float* mean, float* scale, float* running_mean, float* running_var, int track, float momentum, float eps
) {
    __shared__ float total[512];
    const auto first = [&](int g) { return N == 1 ? unpacked(inputs[0][g]) : unpacked(added(inputs[0][g], inputs[N - 1][g])); };
    const Eight pivot = first(threadIdx.x % groups);
    float sums[16] = {};
    for_pixels(inputs, pixels, groups, [&](long long at, const uint4 (&in)[N]) {
        const uint4 w = N == 1 ? in[0] : added(in[0], in[N - 1]);
        if (N == 2) sum[at] = w;
        const Eight f = unpacked(w);
        for (int k = 0; k < 8; ++k) {
            const float d = f.v[k] - pivot.v[k];
            sums[k] += d;
            sums[8 + k] += d * d;
        }
    });
    if (!sum_up(sums, groups, partial, ended, total)) return;
    const int c = threadIdx.x, width = 8 * groups;
    if (c >= width) return;
    const float d = total[c] / pixels, var = fmaxf(total[width + c] / pixels - d * d, 0.f), m = first(c / 8).v[c % 8] + d;
    mean[c] = m;
    scale[c] = rsqrtf(var + eps);
    if (track) {
        running_mean[c] += momentum * (m - running_mean[c]);
        running_var[c] += momentum * (var * pixels / (pixels - 1.f) - running_var[c]);
    }
}
extern "C" __global__ void __launch_bounds__(THREADS) statistics(
    const uint4* x, int pixels, int groups, float* partial, unsigned* ended,
    float* mean, float* scale, float* running_mean, float* running_var, int track, float momentum, float eps
) {
    statistics_of<1>({x}, nullptr, pixels, groups, partial, ended, mean, scale, running_mean, running_var, track, momentum, eps);
}
extern "C" __global__ void __launch_bounds__(THREADS) sum_statistics(
    const uint4* x, const uint4* also, uint4* sum, int pixels, int groups, float* partial, unsigned* ended,
    float* mean, float* scale, float* running_mean, float* running_var, int track, float momentum, float eps
) {
    statistics_of<2>({x, also}, sum, pixels, groups, partial, ended, mean, scale, running_mean, running_var, track, momentum, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) forward(
    const uint4* x, uint4* y, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope
) {
    const int g = threadIdx.x % groups;
    Eight a = channels(scale, g), b = channels(bias, g);
    const Eight w = channels(weight, g), m = channels(mean, g);
    for (int k = 0; k < 8; ++k) { a.v[k] *= w.v[k]; b.v[k] -= m.v[k] * a.v[k]; }
    for_pixels<1>({x}, pixels, groups, [&](long long at, const uint4 (&in)[1]) {
        Eight f = unpacked(in[0]);
        for (int k = 0; k < 8; ++k) {
            const float z = f.v[k] * a.v[k] + b.v[k];
            f.v[k] = z > 0 ? z : slope * z;
        }
        y[at] = packed(f);
    });
}

extern "C" __global__ void __launch_bounds__(THREADS) sums(
    const uint4* x, const uint4* dy, int pixels, int groups, float* partial, unsigned* ended,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, float* d_weight, float* d_bias
) {
    __shared__ float total[512];
    const int g = threadIdx.x % groups;
    const Eight m = channels(mean, g), b = channels(bias, g), w = channels(weight, g);
    Eight a = channels(scale, g);
    for (int k = 0; k < 8; ++k) a.v[k] *= w.v[k];
    float sums[16] = {};
    for_pixels<2>({x, dy}, pixels, groups, [&](long long, const uint4 (&in)[2]) {
        const Eight f = unpacked(in[0]), e = unpacked(in[1]);
        for (int k = 0; k < 8; ++k) {
            const float h = f.v[k] - m.v[k], d = h * a.v[k] + b.v[k] > 0 ? e.v[k] : slope * e.v[k];
            sums[k] += d;
            sums[8 + k] += d * h;
        }
    });
    if (!sum_up(sums, groups, partial, ended, total)) return;
    const int c = threadIdx.x, width = 8 * groups;
    if (c >= width) return;
    d_bias[c] = total[c];
    d_weight[c] = total[width + c] * scale[c];
}

// The gradient of x from inputs x and dy (N = 2), and where x was a sum that others read, too, plus their gradient (N = 3).
template <int N>
__device__ void backward_of(
    const uint4* const (&inputs)[N], uint4* dx, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, const float* d_weight, const float* d_bias
) {
    const int g = threadIdx.x % groups;
    const Eight m = channels(mean, g), b = channels(bias, g), s = channels(scale, g), w = channels(weight, g);
    Eight a, p = channels(d_bias, g), q = channels(d_weight, g);
    const float share = 1.f / pixels;
    for (int k = 0; k < 8; ++k) { a.v[k] = s.v[k] * w.v[k]; p.v[k] *= share; q.v[k] *= s.v[k] * share; }
    for_pixels(inputs, pixels, groups, [&](long long at, const uint4 (&in)[N]) {
        const Eight f = unpacked(in[0]), others = unpacked(in[N - 1]);
        Eight e = unpacked(in[1]);
        for (int k = 0; k < 8; ++k) {
            const float h = f.v[k] - m.v[k], d = h * a.v[k] + b.v[k] > 0 ? e.v[k] : slope * e.v[k];
            e.v[k] = a.v[k] * (d - p.v[k] - h * q.v[k]) + (N == 3 ? others.v[k] : 0.f);
        }
        dx[at] = packed(e);
    });
}
extern "C" __global__ void __launch_bounds__(THREADS) backward(
    const uint4* x, const uint4* dy, uint4* dx, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, const float* d_weight, const float* d_bias
) {
    backward_of<2>({x, dy}, dx, pixels, groups, mean, scale, weight, bias, slope, d_weight, d_bias);
}
extern "C" __global__ void __launch_bounds__(THREADS) sum_backward(
    const uint4* sum, const uint4* dy, const uint4* d_sum, uint4* dx, int pixels, int groups,
    const float* mean, const float* scale, const float* weight, const float* bias, float slope, const float* d_weight, const float* d_bias
) {
    backward_of<3>({sum, dy, d_sum}, dx, pixels, groups, mean, scale, weight, bias, slope, d_weight, d_bias);
}
