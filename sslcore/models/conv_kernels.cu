// 3 x 3 convolutions of few channels, WIDTH pixels a row: see conv_kernels.py, which puts half.cu before it.
//
// Images are rows of pixels of channels here, as channels_last memory is. A stripe is ROWS rows of an image; a block takes
// one after the other, and fetches those to come while it computes. Products are sums over what a warp can multiply at once:
// a chunk is 8 channels, 16 bytes; two chunks and 16 pixels are one operand.

#define PITCH (WIDTH + 2)  // of a row in shared memory: a column of zeros on either side
#define TAPS 9

// The place of a chunk of a pixel in a tile of C channels, so that the chunks c of 8 pixels in a row lie in different banks.
template <int C>
__device__ uint4* chunk(uint4* tile, int pixel, int c) {
    constexpr int CHUNKS = C / 8;
    return tile + pixel * CHUNKS + (c ^ (pixel / (8 / CHUNKS) & (CHUNKS - 1)));
}

// Begin to copy a stripe and BESIDE rows above and below it; what lies outside the image is zeros.
template <int C, int ROWS, int BESIDE, int THREADS>
__device__ void fetch_stripe(uint4* tile, const uint4* images, int stripe, int height) {
    constexpr int CHUNKS = C / 8, LENGTH = WIDTH + 2 * BESIDE;
    const int top = stripe * ROWS, in_image = top % height;
    for (int j = threadIdx.x; j < (ROWS + 2 * BESIDE) * WIDTH * CHUNKS; j += THREADS) {
        const int c = j % CHUNKS, column = j / CHUNKS % WIDTH, row = j / CHUNKS / WIDTH - BESIDE;
        const bool there = in_image + row >= 0 && in_image + row < height;
        const long long from = ((long long)(there ? top + row : top) * WIDTH + column) * CHUNKS + c;
        fetch(chunk<C>(tile, (row + BESIDE) * LENGTH + column + BESIDE, c), images + from, there);
    }
}
// The columns of zeros, which no stripe overwrites.
template <int C, int ROWS, int THREADS>
__device__ void clear_sides(uint4* tile) {
    constexpr int CHUNKS = C / 8;
    for (int j = threadIdx.x; j < (ROWS + 2) * 2 * CHUNKS; j += THREADS)
        tile[(j / (2 * CHUNKS) * PITCH + j / CHUNKS % 2 * (PITCH - 1)) * CHUNKS + j % CHUNKS] = make_uint4(0, 0, 0, 0);
}

// y = x * weights, (pixels, IN) -> (pixels, OUT). `weights`: float, (outputs, 3, 3, inputs) of the layer, whose inputs are `have`.
// `back`: x is the gradient of what the layer gives and y that of what it got.
template <int IN, int OUT, int ROWS, int STAGES, int THREADS>
__device__ void convolution(const uint4* x, const float* weights, unsigned* y, int stripes, int height, int have, int back) {
    extern __shared__ __align__(16) uint4 tiles[];
    constexpr int CHUNKS = IN / 8, COLUMNS = OUT / 8, TILE = (ROWS + 2) * PITCH * CHUNKS;
    constexpr int STEPS = (TAPS * CHUNKS + 1) / 2, EACH = ROWS * (WIDTH / 16) / (THREADS / 32);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, matrix = lane / 8, r = lane % 8;

    for (int s = 0; s < STAGES - 1; ++s) {
        const int stripe = blockIdx.x + s * gridDim.x;
        if (stripe < stripes) fetch_stripe<IN, ROWS, 1, THREADS>(tiles + s * TILE, x, stripe, height);
        fetched();
    }
    for (int s = 0; s < STAGES; ++s) clear_sides<IN, ROWS, THREADS>(tiles + s * TILE);

    // The weights, rounded, as a table of OUT rows of IN for each tap; then in registers, for as long as the block lives.
    uint4* table = tiles + STAGES * TILE;
    for (int j = threadIdx.x; j < (TAPS * OUT + 1) * CHUNKS; j += THREADS) table[j] = make_uint4(0, 0, 0, 0);
    __syncthreads();
    const int inputs = back ? OUT : have, outputs = back ? IN : OUT;
    for (int j = threadIdx.x; j < outputs * TAPS * inputs; j += THREADS) {
        const int i = j % inputs, tap = j / inputs % TAPS, o = j / inputs / TAPS;
        const int row = back ? (TAPS - 1 - tap) * OUT + i : tap * OUT + o, k = back ? o : i;
        reinterpret_cast<unsigned short*>(chunk<IN>(table, row, k / 8))[k % 8] = half2(weights[j], 0.f) & 0xffffu;
    }
    __syncthreads();
    unsigned w[STEPS][COLUMNS][2];
    #pragma unroll
    for (int step = 0; step < STEPS; ++step)
        #pragma unroll
        for (int t = 0; t < COLUMNS; t += 2) {
            // Column r of tile t is such an output that a lane ends up with neighbours: 2 COLUMNS of them.
            const int q = 2 * step + matrix % 2, tap = q / CHUNKS, o = r / 2 * 2 * COLUMNS + (t + matrix / 2) * 2 + r % 2;
            unsigned four[4];
            load_four(four, chunk<IN>(table, tap < TAPS ? tap * OUT + o : TAPS * OUT, q % CHUNKS));
            w[step][t][0] = four[0]; w[step][t][1] = four[1]; w[step][t + 1][0] = four[2]; w[step][t + 1][1] = four[3];
        }

    int stage = 0;
    for (int stripe = blockIdx.x; stripe < stripes; stripe += gridDim.x) {
        wait_for_all_but<STAGES - 2>();
        __syncthreads();
        const int next = stripe + (STAGES - 1) * gridDim.x;
        if (next < stripes) fetch_stripe<IN, ROWS, 1, THREADS>(tiles + (stage + STAGES - 1) % STAGES * TILE, x, next, height);
        fetched();
        uint4* tile = tiles + stage * TILE;
        float sums[EACH][COLUMNS][4] = {};
        #pragma unroll
        for (int step = 0; step < STEPS; ++step) {
            // Two chunks of a tap, or, of pixels that have but one, that of this tap and the next; beyond the last the weights are 0.
            const int tap = CHUNKS > 1 ? 2 * step / CHUNKS : min(2 * step + matrix / 2, TAPS - 1);
            const int c = CHUNKS > 1 ? 2 * step % CHUNKS + matrix / 2 : 0;
            #pragma unroll
            for (int e = 0; e < EACH; ++e) {
                const int unit = warp * EACH + e, row = unit / (WIDTH / 16), first = unit % (WIDTH / 16) * 16;
                unsigned pixels[4];
                load_four(pixels, chunk<IN>(tile, (row + tap / 3) * PITCH + first + tap % 3 + r + matrix % 2 * 8, c));
                #pragma unroll
                for (int t = 0; t < COLUMNS; ++t) multiply_add(sums[e][t], pixels, w[step][t][0], w[step][t][1]);
            }
        }
        #pragma unroll
        for (int e = 0; e < EACH; ++e)
            #pragma unroll
            for (int below = 0; below < 2; ++below) {
                const int pixel = (warp * EACH + e) * 16 + lane / 4 + 8 * below;
                unsigned* to = y + (((long long)stripe * ROWS * WIDTH + pixel) * OUT + lane % 4 * 2 * COLUMNS) / 2;
                unsigned out[COLUMNS];
                #pragma unroll
                for (int t = 0; t < COLUMNS; ++t) out[t] = half2(sums[e][t][2 * below], sums[e][t][2 * below + 1]);
                if (COLUMNS == 4) *reinterpret_cast<uint4*>(to) = make_uint4(out[0], out[1], out[COLUMNS - 2], out[COLUMNS - 1]);
                else *reinterpret_cast<uint2*>(to) = make_uint2(out[0], out[1]);
            }
        stage = (stage + 1) % STAGES;
    }
}

// What each block's stripes give to the gradient of the weights: partial[block], (3, 3, OUT, IN) float.
// A warp sums one row of taps over some of a stripe's pixels: products of dy turned, (OUT, 16 pixels), and x, (16 pixels, IN).
template <int IN, int OUT, int ROWS, int STAGES, int GROUPS>
__device__ void gradient(const uint4* x, const uint4* dy, float* partial, int stripes, int height) {
    extern __shared__ __align__(16) uint4 tiles[];
    constexpr int THREADS = 3 * 32 * GROUPS, CHUNKS = IN / 8, COLUMNS = 3 * CHUNKS, ABOVE = OUT / 16;
    constexpr int TILE_X = (ROWS + 2) * PITCH * CHUNKS, TILE = TILE_X + ROWS * WIDTH * OUT / 8, SIZE = TAPS * OUT * IN;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, matrix = lane / 8, r = lane % 8;
    const int ky = warp % 3, group = warp / 3;
    const auto fetch_both = [&](int stage, int stripe) {
        if (stripe < stripes) {
            fetch_stripe<IN, ROWS, 1, THREADS>(tiles + stage * TILE, x, stripe, height);
            fetch_stripe<OUT, ROWS, 0, THREADS>(tiles + stage * TILE + TILE_X, dy, stripe, height);
        }
        fetched();
    };
    for (int s = 0; s < STAGES - 1; ++s) fetch_both(s, blockIdx.x + s * gridDim.x);
    for (int s = 0; s < STAGES; ++s) clear_sides<IN, ROWS, THREADS>(tiles + s * TILE);

    float sums[COLUMNS][ABOVE][4] = {};
    int stage = 0;
    for (int stripe = blockIdx.x; stripe < stripes; stripe += gridDim.x) {
        wait_for_all_but<STAGES - 2>();
        __syncthreads();
        fetch_both((stage + STAGES - 1) % STAGES, stripe + (STAGES - 1) * gridDim.x);
        uint4 *tile_x = tiles + stage * TILE, *tile_dy = tile_x + TILE_X;
        #pragma unroll
        for (int unit = group; unit < ROWS * (WIDTH / 16); unit += GROUPS) {
            const int row = unit / (WIDTH / 16), first = unit % (WIDTH / 16) * 16;
            unsigned turned[ABOVE][4];
            #pragma unroll
            for (int m = 0; m < ABOVE; ++m)
                load_four_turned(turned[m], chunk<OUT>(tile_dy, row * WIDTH + first + r + matrix / 2 * 8, 2 * m + matrix % 2));
            #pragma unroll
            for (int q = 0; q < COLUMNS; q += 2) {
                const int kx = CHUNKS > 1 ? q / CHUNKS : min(q + matrix / 2, 2), c = CHUNKS > 1 ? q % CHUNKS + matrix / 2 : 0;
                unsigned pixels[4];
                load_four_turned(pixels, chunk<IN>(tile_x, (row + ky) * PITCH + first + kx + r + matrix % 2 * 8, c));
                #pragma unroll
                for (int m = 0; m < ABOVE; ++m) {
                    multiply_add(sums[q][m], turned[m], pixels[0], pixels[1]);
                    if (q + 1 < COLUMNS) multiply_add(sums[q + 1 < COLUMNS ? q + 1 : q][m], turned[m], pixels[2], pixels[3]);
                }
            }
        }
        stage = (stage + 1) % STAGES;
    }
    wait_for_all_but<0>();
    __syncthreads();
    float* total = reinterpret_cast<float*>(tiles);
    for (int g = 0; g < GROUPS; ++g) {  // one after the other: the same sum each time
        if (g == group)
            #pragma unroll
            for (int q = 0; q < COLUMNS; ++q)
                #pragma unroll
                for (int m = 0; m < ABOVE; ++m)
                    #pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        const int o = 16 * m + lane / 4 + k / 2 * 8, i = q % CHUNKS * 8 + lane % 4 * 2 + k % 2;
                        float& place = total[((ky * 3 + q / CHUNKS) * OUT + o) * IN + i];
                        place = g ? place + sums[q][m][k] : sums[q][m][k];
                    }
        __syncthreads();
    }
    for (int j = threadIdx.x; j < SIZE; j += THREADS) partial[(long long)blockIdx.x * SIZE + j] = total[j];
}

// The sum of all blocks' partials, (3, 3, OUT, IN), as dw, (OUT, 3, 3, have). A block sums 64 numbers, in 8 parts.
template <int IN, int OUT>
__device__ void sum_of(const float* partial, float* dw, int blocks, int have) {
    constexpr int SIZE = TAPS * OUT * IN;
    __shared__ float parts[8][64];
    const int j = blockIdx.x * 64 + threadIdx.x % 64, part = threadIdx.x / 64;
    float sum = 0;
    #pragma unroll 8
    for (int b = part; b < blocks; b += 8) sum += partial[(long long)b * SIZE + j];
    parts[part][threadIdx.x % 64] = sum;
    __syncthreads();
    if (part) return;
    for (int p = 1; p < 8; ++p) sum += parts[p][threadIdx.x];
    const int i = j % IN, o = j / IN % OUT, tap = j / IN / OUT;
    if (i < have) dw[(o * TAPS + tap) * have + i] = sum;
}

#define CONVOLUTION(IN, OUT) \
    extern "C" __global__ void __launch_bounds__(256, 1) convolution_##IN##_##OUT( \
        const uint4* x, const float* weights, unsigned* y, int stripes, int height, int have, int back) { \
        convolution<IN, OUT, FORWARD_ROWS, FORWARD_STAGES, 256>(x, weights, y, stripes, height, have, back); \
    }
#define GRADIENT(IN, OUT) \
    extern "C" __global__ void __launch_bounds__(96 * BACK_GROUPS, 1) gradient_##IN##_##OUT( \
        const uint4* x, const uint4* dy, float* partial, int stripes, int height) { \
        gradient<IN, OUT, BACK_ROWS, BACK_STAGES, BACK_GROUPS>(x, dy, partial, stripes, height); \
    } \
    extern "C" __global__ void __launch_bounds__(512) sum_##IN##_##OUT(const float* partial, float* dw, int blocks, int have) { \
        sum_of<IN, OUT>(partial, dw, blocks, have); \
    }
CONVOLUTION(8, 16)
CONVOLUTION(16, 32)
CONVOLUTION(32, 32)
CONVOLUTION(32, 16)
GRADIENT(8, 16)
GRADIENT(16, 32)
GRADIENT(32, 32)
