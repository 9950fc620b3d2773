// What our kernels need of half-precision numbers, in the GPU's own language; whoever puts this before a kernel defines BF16 or FP16.
// A CPU that plays a kernel brings its own instead.

#ifdef BF16
__device__ float2 wide(unsigned w) { return make_float2(__uint_as_float(w << 16), __uint_as_float(w & 0xffff0000u)); }
__device__ unsigned half2(float a, float b) {
    unsigned w;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a));
    return w;
}
#endif
#ifdef FP16
__device__ float2 wide(unsigned w) {
    float2 f;
    asm("{ .reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b; }" : "=f"(f.x), "=f"(f.y) : "r"(w));
    return f;
}
__device__ unsigned half2(float a, float b) {
    unsigned w;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(b), "f"(a));
#else
    asm("{ .reg .b16 a, b; cvt.rn.f16.f32 a, %1; cvt.rn.f16.f32 b, %2; mov.b32 %0, {a, b}; }" : "=r"(w) : "f"(a), "f"(b));
#endif
    return w;
}
#endif

// Below, what a GPU has from sm_80 on: matrix products of a warp, and copies that run beside the work.
#if __CUDA_ARCH__ >= 800
__device__ unsigned shared_place(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

// Four 8 x 8 matrices of halves from shared memory: lane L gives the place of row L % 8 of matrix L / 8, and gets of each
// matrix the elements 2 (L % 4) and + 1 of row L / 4; `turned`: of its column L / 4.
__device__ void load_four(unsigned (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_place(row)) : "memory");
}
__device__ void load_four_turned(unsigned (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_place(row)) : "memory");
}
// c += a b for a (16, 16), b (16, 8), c (16, 8) float, spread over a warp's lanes: see mma.m16n8k16 in the PTX manual.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm(
#ifdef BF16
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#endif
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// Begin to copy 16 bytes into shared memory, zeros if there are none; `fetched` ends a group of such copies of this thread;
// wait_for_all_but<N> waits until at most the N latest groups are still on their way.
__device__ void fetch(uint4* to, const uint4* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(shared_place(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ void fetched() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ void wait_for_all_but() { asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory"); }
#endif
