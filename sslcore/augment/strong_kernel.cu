// RandAugment and cutout, one block an image: see strong_kernel.py, which defines THREADS and a number for every operation.

typedef unsigned char byte;

__device__ byte blended(int pixel, int dull, float factor) {
    const float f = __fadd_rn(__fmul_rn((float)(pixel - dull), factor), (float)dull);
    return (byte)fminf(fmaxf(f, 0.f), 255.f);
}
__device__ int luma(const byte* p, int channels) {
    return channels == 1 ? p[0] : (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 32768) >> 16;
}
__device__ int fixed(double coefficient) { return (int)floor(__dadd_rn(__dmul_rn(coefficient, 65536.0), 0.5)); }

extern "C" __global__ void strong(
    const byte* in, byte* out, const long long* ops, const float* values, const byte* applied, const long long* boxes,
    int layers, int height, int width, int channels, int fill, int cutout_fill
) {
    extern __shared__ byte pictures[];
    __shared__ int histogram[3][256], parts[3][16], low[3], high[3], below[3], total, map[6];
    __shared__ byte table[3][256];
    const int area = height * width, size = area * channels, thread = threadIdx.x;
    byte *now = pictures, *next = pictures + size;
    in += (long long)blockIdx.x * size;
    out += (long long)blockIdx.x * size;
    for (int i = thread; i < size; i += THREADS) now[i] = in[i];

    for (int layer = 0; layer < layers; ++layer) {
        const int at = blockIdx.x * layers + layer, op = applied[at] ? (int)ops[at] : IDENTITY;
        const float value = values[at];
        __syncthreads();
        if (op == IDENTITY) continue;
        if (op == POSTERIZE) {
            const int mask = -256 >> (int)value;
            for (int i = thread; i < size; i += THREADS) now[i] &= mask;
        } else if (op == SOLARIZE) {
            const float threshold = ceilf(value);
            for (int i = thread; i < size; i += THREADS) if (now[i] >= threshold) now[i] ^= 255;
        } else if (op == AUTOCONTRAST || op == EQUALIZE) {
            for (int k = thread; k < 3 * 256; k += THREADS) histogram[k / 256][k % 256] = 0;
            for (int k = thread; k < 3; k += THREADS) { low[k] = 255; high[k] = 0; below[k] = 0; }
            __syncthreads();
            for (int i = thread; i < size; i += THREADS) atomicAdd(&histogram[i % channels][now[i]], 1);
            __syncthreads();
            if (op == AUTOCONTRAST) {
                for (int k = thread; k < channels * 256; k += THREADS)
                    if (histogram[k / 256][k % 256]) { atomicMin(&low[k / 256], k % 256); atomicMax(&high[k / 256], k % 256); }
                __syncthreads();
                for (int k = thread; k < channels * 256; k += THREADS) {
                    const int c = k / 256;
                    const bool flat = high[c] <= low[c];
                    const double first = flat ? 0 : low[c], scale = __ddiv_rn(255.0, (flat ? 255 : high[c]) - first);
                    const double f = __dsub_rn(__dmul_rn((double)(k % 256), scale), __dmul_rn(first, scale));
                    table[c][k % 256] = (byte)fmin(fmax(f, 0.0), 255.0);
                }
            } else {
                for (int k = thread; k < channels * 16; k += THREADS) {
                    int sum = 0;
                    for (int l = 0; l < 16; ++l) sum += histogram[k / 16][k % 16 * 16 + l];
                    parts[k / 16][k % 16] = sum;
                }
                __syncthreads();
                for (int k = thread; k < channels * 16; k += THREADS) {  // from counts to those up to each level
                    int sum = 0;
                    for (int p = 0; p < k % 16; ++p) sum += parts[k / 16][p];
                    for (int l = 0; l < 16; ++l) {
                        sum += histogram[k / 16][k % 16 * 16 + l];
                        histogram[k / 16][k % 16 * 16 + l] = sum;
                        if (sum < area) atomicMax(&below[k / 16], sum);
                    }
                }
                __syncthreads();
                for (int k = thread; k < channels * 256; k += THREADS) {
                    const int c = k / 256, level = k % 256, step = below[c] / 255;
                    const int before = level ? histogram[c][level - 1] : 0;
                    table[c][level] = step ? min((before + step / 2) / step, 255) : level;
                }
            }
            __syncthreads();
            for (int i = thread; i < size; i += THREADS) now[i] = table[i % channels][now[i]];
        } else if (op == BRIGHTNESS) {
            for (int i = thread; i < size; i += THREADS) now[i] = blended(now[i], 0, value);
        } else if (op == COLOR) {
            for (int i = thread; i < area; i += THREADS) {
                byte* pixel = now + i * channels;
                const int grey = luma(pixel, channels);
                for (int c = 0; c < channels; ++c) pixel[c] = blended(pixel[c], grey, value);
            }
        } else if (op == CONTRAST) {
            if (thread == 0) total = 0;
            __syncthreads();
            int sum = 0;
            for (int i = thread; i < area; i += THREADS) sum += luma(now + i * channels, channels);
            atomicAdd(&total, sum);
            __syncthreads();
            const int mean = (2 * total + area) / (2 * area);
            for (int i = thread; i < size; i += THREADS) now[i] = blended(now[i], mean, value);
        } else if (op == SHARPNESS) {
            for (int i = thread; i < size; i += THREADS) {
                const int x = i / channels % width, y = i / channels / width, row = width * channels;
                int dull = now[i];
                if (x > 0 && x < width - 1 && y > 0 && y < height - 1) {
                    int sum = 4 * dull;
                    for (int dy = -row; dy <= row; dy += row)
                        for (int dx = -channels; dx <= channels; dx += channels) sum += now[i + dy + dx];
                    dull = (2 * sum + 13) / 26;
                }
                next[i] = blended(now[i], dull, value);
            }
            byte* other = now; now = next; next = other;
        } else {
            if (thread == 0) {
                const double v = value, radians = op == ROTATE ? __dmul_rn(v, -3.141592653589793 / 180) : 0.0, c = cos(radians), s = sin(radians);
                const double shear_x = op == SHEAR_X ? v : 0.0, shear_y = op == SHEAR_Y ? v : 0.0, whole = floor(__dadd_rn(v, 0.5));
                const double move_x = op == TRANSLATE_X ? whole : 0.0, move_y = op == TRANSLATE_Y ? whole : 0.0;
                const double x = 0.5 - width / 2.0, y = 0.5 - height / 2.0;  // from the centre of the image to that of its first pixel
                const double first_x = c * x + s * y + shear_x * 0.5 + move_x + width / 2.0;
                const double first_y = c * y - s * x + shear_y * 0.5 + move_y + height / 2.0;
                map[0] = fixed(c); map[1] = fixed(s + shear_x); map[2] = fixed(first_x);
                map[3] = fixed(shear_y - s); map[4] = fixed(c); map[5] = fixed(first_y);
            }
            __syncthreads();
            for (int i = thread; i < area; i += THREADS) {
                const int x = i % width, y = i / width;
                const int x_in = (map[0] * x + (map[1] * y + map[2])) >> 16, y_in = (map[3] * x + (map[4] * y + map[5])) >> 16;
                const bool inside = x_in >= 0 && x_in < width && y_in >= 0 && y_in < height;
                for (int c = 0; c < channels; ++c)
                    next[i * channels + c] = inside ? now[(y_in * width + x_in) * channels + c] : fill;
            }
            byte* other = now; now = next; next = other;
        }
    }
    __syncthreads();
    const long long* box = boxes + 4 * blockIdx.x;
    for (int i = thread; i < size; i += THREADS) {
        const int x = i / channels % width, y = i / channels / width;
        out[i] = y >= box[0] && x >= box[1] && y < box[2] && x < box[3] ? cutout_fill : now[i];
    }
}
