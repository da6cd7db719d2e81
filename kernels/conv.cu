// Convolution as an implicit matrix product: the twins of minicnn/ops/conv.py, without the memory that im2col takes.
//
// Images lie in memory as (N, H, W, C). A row of the product is a pixel of the result, a column one of its O channels,
// and k runs through the window: k = (tap row i, tap column j, channel c). im2col would write that matrix down; here
// each block reads the tile that it needs from the image itself, at the pixel that row and k together point to.
//
//   Registers: a thread makes 8 × 8 numbers. For each k it reads 8 + 8 numbers from shared memory and multiplies 64
//   times; a thread with one number (matmul.cu) reads 2 for each multiplication.
//   Two buffers: while a step of 8 k's is multiplied, the next one is on its way from memory into registers, and is
//   put into the other buffer afterwards: one barrier per step, and nobody waits for memory.
//   Vectors: memory and shared memory are read 16 bytes at a time (float4). The lanes of a warp form 4 × 8; those that
//   need the same 16 bytes get them in one go, the others lie side by side: no bank conflicts. The tile of x is written
//   across (it arrives along k and is read along pixels); rows 4 numbers longer than the tile keep that free of them.
//
// Grid: (tiles of pixels · groups · phases, tiles of channels); block: 256 threads for tiles of 128 rows, else 128.
// Shared memory: 2 · 8 · (rows + 4 + columns) numbers and what is known of the pixels, 18.3 KiB for 128 × 128 in float.
// Bytes per element of y: C·KH·KW · sizeof(T) · (rows + columns) / (rows · columns) read (most from the L2 cache) and
// one number written, against 2 · C·KH·KW operations: 32 per byte in tiles of 128 × 128. Limit: multiply-add issue for
// 64 channels and more; below that, columns of a tile without a channel.
#include "common.cuh"

constexpr int DEPTH = 8;  // k's of one step
template <typename T>
constexpr int BLOCKS = sizeof(T) == 4 ? 2 : 1;  // on one multiprocessor: 128 registers per thread, or all 255

// The tiles of one step, twice: one is read while the other is filled.
template <typename T, int ROWS, int COLUMNS>
struct __align__(16) Panels {
    T x[2][DEPTH][ROWS + 4];
    T w[2][DEPTH][COLUMNS];
};

__device__ __forceinline__ void load_four(const float* from, float (&v)[4]) {
    float4 four = *(const float4*)from;
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}
__device__ __forceinline__ void load_four(const double* from, double (&v)[4]) {
    double2 low = ((const double2*)from)[0], high = ((const double2*)from)[1];
    v[0] = low.x, v[1] = low.y, v[2] = high.x, v[3] = high.y;
}
__device__ __forceinline__ void store_four(const float (&v)[4], float* to) {
    *(float4*)to = make_float4(v[0], v[1], v[2], v[3]);
}
__device__ __forceinline__ void store_four(const double (&v)[4], double* to) {
    ((double2*)to)[0] = make_double2(v[0], v[1]);
    ((double2*)to)[1] = make_double2(v[2], v[3]);
}
template <typename T>
__device__ __forceinline__ void clear(T (&v)[4]) {
    v[0] = v[1] = v[2] = v[3] = T(0);
}

// Four numbers of one pixel along k, two threads per pixel, go across the rows of the buffer; numbers along the columns
// go as they are.
template <typename T, int ROWS>
__device__ __forceinline__ void put_across(const T (&v)[4], T (&to)[DEPTH][ROWS]) {
#pragma unroll
    for (int e = 0; e < 4; ++e) to[threadIdx.x % 2 * 4 + e][threadIdx.x / 2] = v[e];
}
template <typename T, int COLUMNS>
__device__ __forceinline__ void put_along(const T (&v)[4], T (&to)[DEPTH][COLUMNS]) {
    if (threadIdx.x < 2 * COLUMNS) store_four(v, &to[threadIdx.x / (COLUMNS / 4)][threadIdx.x % (COLUMNS / 4) * 4]);
}

// Which numbers of the tile a thread makes: rows row + 16·(m / 4) + m % 4, columns column + 32·(n / 4) + n % 4. The
// lanes of a warp are 4 along the rows × 8 along the columns, four numbers each, TM / 4 and TN / 4 times.
template <int COLUMNS, int TM, int TN>
struct Mine {
    int row, column;
    __device__ __forceinline__ Mine() {
        constexpr int ACROSS = COLUMNS / (8 * TN);  // warps along the columns
        int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        row = warp / ACROSS * (4 * TM) + lane / 8 * 4;
        column = warp % ACROSS * (8 * TN) + lane % 8 * 4;
    }
};

// sum[m][n] += x[k][row m] · w[k][column n] over the k's of one step
template <typename T, int ROWS, int COLUMNS, int TM, int TN>
__device__ __forceinline__ void multiply(const T (&x)[DEPTH][ROWS], const T (&w)[DEPTH][COLUMNS],
                                         const Mine<COLUMNS, TM, TN>& mine, T (&sum)[TM][TN]) {
#pragma unroll 2  // more at once does not fit into 128 registers
    for (int k = 0; k < DEPTH; ++k) {
        T a[TM / 4][4], b[TN / 4][4];
#pragma unroll
        for (int m = 0; m < TM / 4; ++m) load_four(&x[k][mine.row + 16 * m], a[m]);
#pragma unroll
        for (int n = 0; n < TN / 4; ++n) load_four(&w[k][mine.column + 32 * n], b[n]);
#pragma unroll
        for (int m = 0; m < TM; ++m)
#pragma unroll
            for (int n = 0; n < TN; ++n) sum[m][n] += a[m / 4][m % 4] * b[n / 4][n % 4];
    }
}

template <typename T, int TM, int TN>
__device__ __forceinline__ void zero(T (&sum)[TM][TN]) {
#pragma unroll
    for (int m = 0; m < TM; ++m)
#pragma unroll
        for (int n = 0; n < TN; ++n) sum[m][n] = T(0);
}

// The main loop, of at least one step. A loader fetches the numbers of a step into registers, and puts them into a buffer.
template <typename T, int ROWS, int COLUMNS, int TM, int TN, typename Loader>
__device__ __forceinline__ void accumulate(Panels<T, ROWS, COLUMNS>& panels, Loader& loader, int steps,
                                           const Mine<COLUMNS, TM, TN>& mine, T (&sum)[TM][TN]) {
    zero(sum);
    loader.fetch();
    loader.put(panels.x[0], panels.w[0]);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        bool more = step + 1 < steps;
        if (more) loader.fetch();
        multiply(panels.x[step % 2], panels.w[step % 2], mine, sum);
        if (more) loader.put(panels.x[1 - step % 2], panels.w[1 - step % 2]);
        __syncthreads();
    }
}

// One axis of the images, as a block sees it. Forward, pixel p of the result and tap t meet pixel
// p·scale + origin + t·dilation of the image, with scale = S, origin = −P, dilation = D. For the input's gradient a
// pixel h asks which p had it under tap i: p = (h + P − i·D) / S, where that is whole. Pixels h = first, first + S, …
// share their taps (tap, tap + tap_step, …), and for these p grows by one from one h to the next: again the form above.
// So the gradient is S · S convolutions of stride 1, the phases, and no tap is tried in vain.
struct Axis {
    int first, step, count;             // the pixels of the result: first, first + step, …
    int tap, tap_step, taps;            // the taps
    int origin, scale, dilation, size;  // where they meet the image, and how many pixels that has
};
__device__ __forceinline__ Axis axis_of(int image, int result, int K, int S, int P, int D, int transposed, int phase) {
    if (!transposed) return {0, 1, result, 0, 1, K, -P, S, D, image};
    int count = phase < result ? (result - phase + S - 1) / S : 0, tap = 0, step = 1;
    while (tap < K && (phase + P - tap * D) % S != 0) ++tap;
    while (step * D % S != 0) ++step;
    int taps = tap < K ? (K - tap + step - 1) / step : 0;
    return {phase, S, count, tap, step, taps, (phase + P - tap * D) / S, 1, -(step * D / S), image};
}

// What the blocks of a launch along x are: pixels of one group's and one phase's result.
struct Part {
    int group, phase, tile;
    __device__ __forceinline__ Part(int groups, int phases) {
        group = blockIdx.x % groups;
        phase = blockIdx.x / groups % phases;
        tile = blockIdx.x / groups / phases;
    }
};

// Writes a thread's numbers of one row of the result, plus the bias if there is one.
template <bool VECTORS, typename T, int TN>
__device__ __forceinline__ void put_result(const T (&sum)[TN], T* row, int column, int columns, const T* bias) {
#pragma unroll
    for (int n = 0; n < TN; n += 4) {
        int o = column + 8 * n;
        T four[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) four[e] = sum[n + e] + (bias && o + e < columns ? bias[o + e] : T(0));
        if (VECTORS) {
            if (o < columns) store_four(four, row + o);
        } else {
#pragma unroll
            for (int e = 0; e < 4; ++e)
                if (o + e < columns) row[o + e] = four[e];
        }
    }
}

struct Shape {  // image (N, H, W, G·C), filters (G, KH, KW, C, O), result (N, OH, OW, G·O)
    int N, C, O, G, KH, KW;
};

struct Geometry {
    int H, W, OH, OW, SH, SW, PH, PW, DH, DW;
};

// What all threads of a block share about its pixels, so that it takes no registers: the axes, and for each row of the
// tile its image's first number and its window's corner. A row that has no pixel has its window far outside.
struct Place {
    index_t image;
    int h, w;
};
template <int ROWS>
struct View {
    Axis down, along;
    Place places[ROWS];
};
constexpr int FAR = 1 << 30;

// Reads pixels and filters four channels at a time. C is a multiple of 8: a step stays within one tap.
template <typename T, int ROWS, int COLUMNS>
struct VectorLoader {
    const View<ROWS>& view;
    const Shape& shape;
    const T *x, *w, *source;  // the arrays, and this thread's pixel at the step
    int filter, tap, c;       // its place in w at the step
    bool inside, reads_filter;
    T a[4], b[4];

    __device__ __forceinline__ VectorLoader(const T* image, const T* weight, const Shape& s, const View<ROWS>& v)
        : view(v), shape(s), x(image), w(weight), tap(0), c(0) {
        reads_filter = threadIdx.x < 2 * COLUMNS && first_column() < s.O;
        point();
    }
    static __device__ __forceinline__ int first_column() {
        return blockIdx.y * COLUMNS + threadIdx.x % (COLUMNS / 4) * 4;
    }
    __device__ __forceinline__ void point() {  // to the tap
        int i = tap / view.along.taps, j = tap % view.along.taps;
        const Place& place = view.places[threadIdx.x / 2];  // two threads per pixel: four k's each
        int group = blockIdx.x % shape.G;
        int h = place.h + i * view.down.dilation, l = place.w + j * view.along.dilation;
        inside = h >= 0 && h < view.down.size && l >= 0 && l < view.along.size;
        source = x + place.image + ((index_t)h * view.along.size + l) * shape.G * shape.C + group * shape.C +
                 threadIdx.x % 2 * 4;
        i = view.down.tap + i * view.down.tap_step, j = view.along.tap + j * view.along.tap_step;
        int k = ((group * shape.KH + i) * shape.KW + j) * shape.C + threadIdx.x / (COLUMNS / 4);
        filter = k * shape.O + first_column();
    }
    __device__ __forceinline__ void fetch() {
        if (inside)
            load_four(source, a);
        else
            clear(a);
        if (reads_filter)
            load_four(w + filter, b);
        else
            clear(b);
        c += DEPTH, source += DEPTH, filter += DEPTH * shape.O;
        if (c < shape.C) return;
        c = 0, ++tap;
        point();
    }
    __device__ __forceinline__ void put(T (&to)[DEPTH][ROWS + 4], T (&weight)[DEPTH][COLUMNS]) const {
        put_across(a, to);
        put_along(b, weight);
    }
};

// A place along k, for channels that do not come in fours.
struct Walk {
    int i, j, c;
    __device__ __forceinline__ void advance(int by, int C, int taps) {
        for (c += by; c >= C; c -= C)
            if (++j == taps) j = 0, ++i;
    }
};

// Reads one channel at a time: for any number of them.
template <typename T, int ROWS, int COLUMNS>
struct AnyLoader {
    const View<ROWS>& view;
    const Shape& shape;
    const T *image, *filters;
    int columns;  // of the result that the thread's four columns have, may be below 1
    Walk at, filter_at;
    T a[4], b[4];

    __device__ __forceinline__ AnyLoader(const T* x, const T* weight, const Shape& s, const View<ROWS>& v)
        : view(v), shape(s), at{0, 0, 0}, filter_at{0, 0, 0} {
        int group = blockIdx.x % s.G;
        image = x + group * shape.C;
        at.advance(threadIdx.x % 2 * 4, shape.C, v.along.taps);
        int k = threadIdx.x / (COLUMNS / 4), o = blockIdx.y * COLUMNS + threadIdx.x % (COLUMNS / 4) * 4;
        columns = k < DEPTH ? shape.O - o : 0;
        filters = weight + (index_t)group * shape.KH * shape.KW * shape.C * shape.O + o;
        filter_at.advance(k, shape.C, v.along.taps);
    }
    __device__ __forceinline__ void fetch() {
        const Axis &down = view.down, &along = view.along;
        const Place& place = view.places[threadIdx.x / 2];
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int h = place.h + at.i * down.dilation, l = place.w + at.j * along.dilation;
            bool inside = at.i < down.taps && h >= 0 && h < down.size && l >= 0 && l < along.size;
            index_t pixel = (index_t)h * along.size + l;
            a[e] = inside ? image[place.image + pixel * shape.G * shape.C + at.c] : T(0);
            at.advance(1, shape.C, along.taps);
        }
        at.advance(DEPTH - 4, shape.C, along.taps);
        int tap = (down.tap + filter_at.i * down.tap_step) * shape.KW + along.tap + filter_at.j * along.tap_step;
        const T* filter = filters + ((index_t)tap * shape.C + filter_at.c) * shape.O;
#pragma unroll
        for (int e = 0; e < 4; ++e) b[e] = e < columns && filter_at.i < down.taps ? filter[e] : T(0);
        filter_at.advance(DEPTH, shape.C, along.taps);
    }
    __device__ __forceinline__ void put(T (&to)[DEPTH][ROWS + 4], T (&weight)[DEPTH][COLUMNS]) const {
        put_across(a, to);
        put_along(b, weight);
    }
};

template <typename T, int ROWS, int COLUMNS, int TM, int TN, bool VECTORS, typename Loader>
__device__ __forceinline__ void conv_tile(Panels<T, ROWS, COLUMNS>& panels, View<ROWS>& view, const T* x, const T* w,
                                          const T* b, T* y, int has_b, int transposed, const Shape& shape,
                                          const Geometry& g) {
    Part part(shape.G, transposed ? g.SH * g.SW : 1);
    if (threadIdx.x == 0) {
        view.down = axis_of(g.H, g.OH, shape.KH, g.SH, g.PH, g.DH, transposed, part.phase / g.SW);
        view.along = axis_of(g.W, g.OW, shape.KW, g.SW, g.PW, g.DW, transposed, part.phase % g.SW);
    }
    __syncthreads();
    const Axis &down = view.down, &along = view.along;
    int pixels = shape.N * down.count * along.count, pixel = part.tile * ROWS;
    if (pixel >= pixels) return;  // a phase may have fewer pixels than the first; the whole block goes
    if (threadIdx.x < ROWS) {
        int p = pixel + threadIdx.x, row = p / along.count, n = row / down.count;
        Place& place = view.places[threadIdx.x];
        place.image = p < pixels ? (index_t)n * g.H * g.W * shape.G * shape.C : 0;
        place.h = p < pixels ? row % down.count * down.scale + down.origin : -FAR;
        place.w = p % along.count * along.scale + along.origin;
    }
    __syncthreads();
    Mine<COLUMNS, TM, TN> mine;
    T sum[TM][TN];
    int steps = (down.taps * along.taps * shape.C + DEPTH - 1) / DEPTH;
    if (steps == 0)
        zero(sum);
    else {
        Loader loader(x, w, shape, view);
        accumulate(panels, loader, steps, mine, sum);
    }
    int column = blockIdx.y * COLUMNS + mine.column;
#pragma unroll
    for (int m = 0; m < TM; ++m) {
        int p = pixel + mine.row + 16 * (m / 4) + m % 4;
        if (p >= pixels) continue;
        int row = p / along.count, n = row / down.count;
        index_t to = ((index_t)n * g.OH + down.first + row % down.count * down.step) * g.OW;
        T* result = y + (to + along.first + p % along.count * along.step) * shape.G * shape.O + part.group * shape.O;
        put_result<VECTORS>(sum[m], result, column, shape.O, has_b ? b + part.group * shape.O : nullptr);
    }
}

// NumPy: y[n, p, q, o] = b[o] + sum of x[n, p * SH + i * DH - PH, q * SW + j * DW - PW, c] * w[i, j, c, o] over i, j, c
// and in each group; with `transposed` y[n, h, w, o] adds up where p * SH + i * DH - PH = h and q * SW + j * DW - PW = w.
// So conv2d_forward and the input gradient of conv_transpose2d, transposed the other two. Without has_b, b is not read.
// C is a multiple of 8, O one of 4, x begins at a multiple of 16 bytes.
template <typename T>
__global__ void __launch_bounds__(256, BLOCKS<T>)
    conv_128x128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y,
                 int has_b, int transposed, int N, int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW,
                 int SH, int SW, int PH, int PW, int DH, int DW) {
    __shared__ Panels<T, 128, 128> panels;
    __shared__ View<128> view;
    conv_tile<T, 128, 128, 8, 8, true, VectorLoader<T, 128, 128>>(
        panels, view, x, w, b, y, has_b, transposed, {N, C, O, G, KH, KW}, {H, W, OH, OW, SH, SW, PH, PW, DH, DW});
}

// NumPy: as conv_128x128, for up to 64 channels: tiles of 128 pixels × 64 channels, 8 × 4 numbers per thread
template <typename T>
__global__ void __launch_bounds__(256, BLOCKS<T>)
    conv_128x64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y, int has_b,
                int transposed, int N, int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW, int SH,
                int SW, int PH, int PW, int DH, int DW) {
    __shared__ Panels<T, 128, 64> panels;
    __shared__ View<128> view;
    conv_tile<T, 128, 64, 8, 4, true, VectorLoader<T, 128, 64>>(
        panels, view, x, w, b, y, has_b, transposed, {N, C, O, G, KH, KW}, {H, W, OH, OW, SH, SW, PH, PW, DH, DW});
}

// NumPy: as conv_128x128, for any number of channels and small images: 64 pixels × 32 channels, 4 × 4 numbers per
// thread, 128 threads
template <typename T>
__global__ void __launch_bounds__(128)
    conv_64x32(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y, int has_b,
               int transposed, int N, int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW, int SH, int SW,
               int PH, int PW, int DH, int DW) {
    __shared__ Panels<T, 64, 32> panels;
    __shared__ View<64> view;
    conv_tile<T, 64, 32, 4, 4, false, AnyLoader<T, 64, 32>>(
        panels, view, x, w, b, y, has_b, transposed, {N, C, O, G, KH, KW}, {H, W, OH, OW, SH, SW, PH, PW, DH, DW});
}

// The filters' gradient: rows are (i, j, c), columns o, and k runs through the pixels of all images. There are few
// rows and columns and many pixels, so the pixels are split among blocks, whose sums conv_weight_sum adds up in a fixed
// order. Both tiles arrive as they are needed: along channels.

template <typename T, int ROWS, int COLUMNS, bool VECTORS>
struct PixelLoader {
    static constexpr int PLACES = VECTORS ? 1 : 4;  // four rows with their own taps, or one tap and four channels
    const Shape& shape;
    const Geometry& geometry;
    const T *image, *dy;
    int h[PLACES], w[PLACES], channel[PLACES];
    int n, p, q, pixel, end, columns;  // the columns of dy that the thread's four have, may be below 1
    T a[4], b[4];

    __device__ __forceinline__ PixelLoader(const T* x, const T* gradient, const Shape& s, const Geometry& g, int group,
                                           int row, int column, int first, int last)
        : shape(s), geometry(g), image(x + group * s.C), end(last) {
        row += threadIdx.x % (ROWS / 4) * 4;
#pragma unroll
        for (int e = 0; e < PLACES; ++e) {
            int tap = (row + e) / s.C;
            channel[e] = (row + e) % s.C;
            h[e] = tap < s.KH * s.KW ? tap / s.KW * g.DH - g.PH : -FAR;
            w[e] = tap % s.KW * g.DW - g.PW;
        }
        pixel = first + threadIdx.x / (ROWS / 4);
        n = pixel / (g.OH * g.OW), p = pixel / g.OW % g.OH, q = pixel % g.OW;
        column += threadIdx.x % (COLUMNS / 4) * 4;
        dy = gradient + (index_t)(first + threadIdx.x / (COLUMNS / 4)) * s.G * s.O + group * s.O + column;
        columns = threadIdx.x < 2 * COLUMNS ? s.O - column : 0;
    }
    __device__ __forceinline__ void fetch() {
#pragma unroll
        for (int e = 0; e < PLACES; ++e) {
            int y = p * geometry.SH + h[e], x = q * geometry.SW + w[e];
            bool inside = pixel < end && y >= 0 && y < geometry.H && x >= 0 && x < geometry.W;
            index_t place = ((index_t)n * geometry.H + y) * geometry.W + x;
            const T* source = image + place * shape.G * shape.C + channel[e];
            if (!VECTORS)
                a[e] = inside ? *source : T(0);
            else if (inside)
                load_four(source, a);
            else
                clear(a);
        }
        bool there = pixel - (int)threadIdx.x / (ROWS / 4) + (int)threadIdx.x / (COLUMNS / 4) < end;
        if (!VECTORS) {
#pragma unroll
            for (int e = 0; e < 4; ++e) b[e] = there && e < columns ? dy[e] : T(0);
        } else if (there && columns > 0) {
            load_four(dy, b);
        } else {
            clear(b);
        }
        dy += (index_t)DEPTH * shape.G * shape.O;
        pixel += DEPTH;
        for (q += DEPTH; q >= geometry.OW; q -= geometry.OW)
            if (++p == geometry.OH) p = 0, ++n;
    }
    __device__ __forceinline__ void put(T (&x)[DEPTH][ROWS + 4], T (&gradient)[DEPTH][COLUMNS]) const {
        store_four(a, &x[threadIdx.x / (ROWS / 4)][threadIdx.x % (ROWS / 4) * 4]);
        put_along(b, gradient);
    }
};

template <typename T, int ROWS, int COLUMNS, int TM, int TN, bool VECTORS>
__device__ __forceinline__ void weight_tile(Panels<T, ROWS, COLUMNS>& panels, const T* x, const T* dy, T* partial,
                                            int pieces, const Shape& shape, const Geometry& geometry) {
    Part part(shape.G, pieces);  // the phase is a piece of the pixels
    int rows = shape.KH * shape.KW * shape.C, row = part.tile * ROWS, column = blockIdx.y * COLUMNS;
    index_t pixels = (index_t)shape.N * geometry.OH * geometry.OW;
    int first = (int)(pixels * part.phase / pieces), last = (int)(pixels * (part.phase + 1) / pieces);
    Mine<COLUMNS, TM, TN> mine;
    PixelLoader<T, ROWS, COLUMNS, VECTORS> loader(x, dy, shape, geometry, part.group, row, column, first, last);
    T sum[TM][TN];
    accumulate(panels, loader, (last - first + DEPTH - 1) / DEPTH, mine, sum);
    row += mine.row, column += mine.column;
    partial += ((index_t)part.phase * shape.G + part.group) * rows * shape.O;
#pragma unroll
    for (int m = 0; m < TM; ++m) {
        int r = row + 16 * (m / 4) + m % 4;
        if (r >= rows) continue;
        put_result<VECTORS>(sum[m], partial + (index_t)r * shape.O, column, shape.O, (const T*)nullptr);
    }
}

// NumPy: partial[piece, g, (i, j, c), o] = sum of x[n, p * SH + i * DH - PH, q * SW + j * DW - PW, c] * dy[n, p, q, o]
// over the pixels (n, p, q) of the piece. C and O are multiples of 4; x and dy begin at a multiple of 16 bytes.
// Grid: (tiles of rows · groups · pieces, tiles of columns); block: 256 threads.
template <typename T>
__global__ void __launch_bounds__(256, BLOCKS<T>)
    conv_weight_128x128(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ partial, int pieces, int N,
                        int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW, int SH, int SW, int PH,
                        int PW, int DH, int DW) {
    __shared__ Panels<T, 128, 128> panels;
    Shape shape = {N, C, O, G, KH, KW};
    Geometry geometry = {H, W, OH, OW, SH, SW, PH, PW, DH, DW};
    weight_tile<T, 128, 128, 8, 8, true>(panels, x, dy, partial, pieces, shape, geometry);
}

// NumPy: as conv_weight_128x128, for up to 64 channels of dy
template <typename T>
__global__ void __launch_bounds__(256, BLOCKS<T>)
    conv_weight_128x64(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ partial, int pieces, int N,
                       int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW, int SH, int SW, int PH,
                       int PW, int DH, int DW) {
    __shared__ Panels<T, 128, 64> panels;
    Shape shape = {N, C, O, G, KH, KW};
    Geometry geometry = {H, W, OH, OW, SH, SW, PH, PW, DH, DW};
    weight_tile<T, 128, 64, 8, 4, true>(panels, x, dy, partial, pieces, shape, geometry);
}

// NumPy: as conv_weight_128x128, for any number of channels; 128 threads
template <typename T>
__global__ void __launch_bounds__(128)
    conv_weight_64x32(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ partial, int pieces, int N,
                      int H, int W, int C, int OH, int OW, int O, int G, int KH, int KW, int SH, int SW, int PH,
                      int PW, int DH, int DW) {
    __shared__ Panels<T, 64, 32> panels;
    Shape shape = {N, C, O, G, KH, KW};
    Geometry geometry = {H, W, OH, OW, SH, SW, PH, PW, DH, DW};
    weight_tile<T, 64, 32, 4, 4, false>(panels, x, dy, partial, pieces, shape, geometry);
}

// NumPy: dw[g, o, c, tap] = partial[:, g, tap, c, o].sum(0)
// Both arrays are read and written along their last axis: the numbers change places in shared memory. Grid:
// (ceil(C · taps / 32) · G, ceil(O / 32)); block: 32 × 8 threads, 4 numbers each. Bytes per element: sizeof(T) for each
// piece read, and one written.
template <typename T>
__global__ void conv_weight_sum(const T* partial, T* dw, int pieces, int G, int C, int O, int taps) {
    __shared__ T tile[32][33];
    int rows = C * taps, across = (rows + 31) / 32, group = blockIdx.x / across;
    int row = blockIdx.x % across * 32, column = blockIdx.y * 32;  // of dw seen as (G, O, rows), turned
    for (int k = threadIdx.y; k < 32; k += 8) {
        int r = row + k, o = column + threadIdx.x;
        if (r >= rows || o >= O) continue;
        const T* from = partial + ((index_t)group * rows + r % taps * C + r / taps) * O + o;
        T sum = *from;
        for (int piece = 1; piece < pieces; ++piece) sum += from[(index_t)piece * G * rows * O];
        tile[k][threadIdx.x] = sum;
    }
    __syncthreads();
    for (int k = threadIdx.y; k < 32; k += 8) {
        int r = row + threadIdx.x, o = column + k;
        if (r < rows && o < O) dw[((index_t)group * O + o) * rows + r] = tile[threadIdx.x][k];
    }
}
