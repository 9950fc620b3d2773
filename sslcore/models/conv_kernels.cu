// 3 x 3 convolutions of few channels, WIDTH pixels a row: see conv_kernels.py, which puts half.cu before it.
//
// Images are rows of pixels of channels here, as channels_last memory is. A stripe is ROWS rows of an image; a block takes
// one after the other, and fetches those to come while it computes. Products are sums over what a warp can multiply at once:
// a chunk is 8 channels, 16 bytes; two chunks and 16 pixels are one operand.

#define PITCH (WIDTH + 2)  // of a row in shared memory: a column of zeros on either side
#define TAPS 9

// Chunks from one pixel to the next in shared memory: an odd number, so that a chunk of 8 pixels in a row fills all banks.
#define APART(C) ((C) / 8 | 1)

template <int C>
__device__ uint4* chunk(uint4* tile, int pixel, int c) { return tile + pixel * APART(C) + c; }

// Begin to copy a stripe and BESIDE rows above and below it; what lies outside the image is zeros. A thread keeps to
// its column; those that would be left over do nothing.
template <int C, int ROWS, int BESIDE, int THREADS>
__device__ void fetch_stripe(uint4* tile, const uint4* images, int stripe, int height) {
    constexpr int CHUNKS = C / 8, ROW = WIDTH * CHUNKS, STEP = THREADS / ROW;
    if (threadIdx.x >= STEP * ROW) return;
    const unsigned place = threadIdx.x % ROW, column = place / CHUNKS, c = place % CHUNKS;
    const int top = stripe * ROWS, in_image = top % height;
    const uint4* from = images + (long long)top * ROW + place;
    #pragma unroll
    for (int row = threadIdx.x / ROW - BESIDE; row < ROWS + BESIDE; row += STEP) {
        const bool there = in_image + row >= 0 && in_image + row < height;
        fetch(chunk<C>(tile, (row + BESIDE) * (WIDTH + 2 * BESIDE) + column + BESIDE, c), from + (there ? row * ROW : 0), there);
    }
}
// The columns of zeros, which no stripe overwrites.
template <int C, int ROWS, int THREADS>
__device__ void clear_sides(uint4* tile) {
    constexpr int CHUNKS = C / 8;
    for (int j = threadIdx.x; j < (ROWS + 2) * 2 * CHUNKS; j += THREADS)
        *chunk<C>(tile, j / (2 * CHUNKS) * PITCH + j / CHUNKS % 2 * (PITCH - 1), j % CHUNKS) = make_uint4(0, 0, 0, 0);
}

// y = x * weights, (pixels, IN) -> (pixels, OUT). `weights`: float, (outputs, 3, 3, inputs) of the layer; of images (IN = 8) it
// has fewer inputs, `have`. BACK: x is the gradient of what the layer gives and y that of what it got.
template <int IN, int OUT, bool BACK, int ROWS, int STAGES, int THREADS>
__device__ void convolution(const uint4* x, const float* weights, unsigned* y, int stripes, int height, int have) {
    extern __shared__ __align__(16) uint4 tiles[];
    constexpr int CHUNKS = IN / 8, COLUMNS = OUT / 8, TILE = (ROWS + 2) * PITCH * APART(IN);
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
    for (int j = threadIdx.x; j < (TAPS * OUT + 1) * APART(IN); j += THREADS) table[j] = make_uint4(0, 0, 0, 0);
    __syncthreads();
    const unsigned inputs = BACK ? OUT : IN == 8 ? have : IN, outputs = BACK ? IN : OUT;
    for (unsigned j = threadIdx.x; j < outputs * TAPS * inputs; j += THREADS) {
        const unsigned i = j % inputs, tap = j / inputs % TAPS, o = j / inputs / TAPS;
        const unsigned row = BACK ? (TAPS - 1 - tap) * OUT + i : tap * OUT + o, k = BACK ? o : i;
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

    // A warp computes EACH times 16 pixels, of whole rows. Of two chunks of a pixel a lane reads one.
    static_assert(WIDTH == 32 && EACH % 2 == 0, "warps compute whole rows");
    const int place = warp * EACH / 2 * PITCH + r + matrix % 2 * 8;
    int stage = 0;
    for (int stripe = blockIdx.x; stripe < stripes; stripe += gridDim.x) {
        wait_for_all_but<STAGES - 2>();
        __syncthreads();
        const int next = stripe + (STAGES - 1) * gridDim.x;
        if (next < stripes) fetch_stripe<IN, ROWS, 1, THREADS>(tiles + (stage + STAGES - 1) % STAGES * TILE, x, next, height);
        fetched();
        float sums[EACH][COLUMNS][4] = {};
        const uint4* mine = chunk<IN>(tiles + stage * TILE, place, CHUNKS > 1 ? matrix / 2 : 0);
        #pragma unroll
        for (int step = 0; step < STEPS; ++step) {
            const int tap = 2 * step / CHUNKS;
            int from = (tap / 3 * PITCH + tap % 3) * APART(IN) + 2 * step % CHUNKS;
            if (CHUNKS == 1) from += matrix / 2 && tap < TAPS - 1 ? (tap % 3 == 2 ? PITCH - 2 : 1) : 0;  // the next tap's
            #pragma unroll
            for (int e = 0; e < EACH; ++e) {
                unsigned pixels[4];
                load_four(pixels, mine + (e / 2 * PITCH + e % 2 * 16) * APART(IN) + from);
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
    constexpr int TILE_X = (ROWS + 2) * PITCH * APART(IN), TILE = TILE_X + ROWS * WIDTH * APART(OUT), SIZE = TAPS * OUT * IN;
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

    // A group of warps takes every GROUPS-th 16 pixels.
    static_assert(WIDTH == 32 && GROUPS % 2 == 0, "a group keeps to half a row");
    const int place_x = (group / 2 + ky) * PITCH + group % 2 * 16 + matrix % 2 * 8 + r;
    const int place_dy = group / 2 * WIDTH + group % 2 * 16 + matrix / 2 * 8 + r;
    float sums[COLUMNS][ABOVE][4] = {};
    int stage = 0;
    for (int stripe = blockIdx.x; stripe < stripes; stripe += gridDim.x) {
        wait_for_all_but<STAGES - 2>();
        __syncthreads();
        fetch_both((stage + STAGES - 1) % STAGES, stripe + (STAGES - 1) * gridDim.x);
        const uint4* mine_x = chunk<IN>(tiles + stage * TILE, place_x, CHUNKS > 1 ? matrix / 2 : 0);
        const uint4* mine_dy = chunk<OUT>(tiles + stage * TILE + TILE_X, place_dy, matrix % 2);
        #pragma unroll
        for (int k = 0; k < ROWS * 2 / GROUPS; ++k) {
            unsigned turned[ABOVE][4];
            #pragma unroll
            for (int m = 0; m < ABOVE; ++m) load_four_turned(turned[m], mine_dy + k * GROUPS / 2 * WIDTH * APART(OUT) + 2 * m);
            #pragma unroll
            for (int q = 0; q < COLUMNS; q += 2) {
                int from = k * GROUPS / 2 * PITCH * APART(IN) + q / CHUNKS * APART(IN) + q % CHUNKS;
                if (CHUNKS == 1) from += q < 2 ? matrix / 2 : 0;  // the next tap's
                unsigned pixels[4];
                load_four_turned(pixels, mine_x + from);
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

// `forward_IN_OUT`, `backward_IN_OUT`, `gradient_IN_OUT`, `sum_IN_OUT` of a layer with these channels.
#define CONVOLUTION(NAME, FROM, TO, BACK) \
    extern "C" __global__ void __launch_bounds__(CONVOLUTION_THREADS, CONVOLUTION_BLOCKS) NAME( \
        const uint4* x, const float* weights, unsigned* y, int stripes, int height, int have) { \
        convolution<FROM, TO, BACK, CONVOLUTION_ROWS, CONVOLUTION_STAGES, CONVOLUTION_THREADS>(x, weights, y, stripes, height, have); \
    }
#define GRADIENT(IN, OUT) \
    extern "C" __global__ void __launch_bounds__(96 * GRADIENT_GROUPS, GRADIENT_BLOCKS) gradient_##IN##_##OUT( \
        const uint4* x, const uint4* dy, float* partial, int stripes, int height) { \
        gradient<IN, OUT, GRADIENT_ROWS, GRADIENT_STAGES, GRADIENT_GROUPS>(x, dy, partial, stripes, height); \
    } \
    extern "C" __global__ void __launch_bounds__(512) sum_##IN##_##OUT(const float* partial, float* dw, int blocks, int have) { \
        sum_of<IN, OUT>(partial, dw, blocks, have); \
    }
CONVOLUTION(forward_8_16, 8, 16, false)
CONVOLUTION(forward_16_32, 16, 32, false)
CONVOLUTION(forward_32_32, 32, 32, false)
CONVOLUTION(backward_16_32, 32, 16, true)
CONVOLUTION(backward_32_32, 32, 32, true)
GRADIENT(8, 16)
GRADIENT(16, 32)
GRADIENT(32, 32)
