// Pooling, forward and backward: the twins of minicnn/ops/pool.py.
//
// Images lie in memory as (N, H, W, C). A block makes 256 numbers of one row of one image of the result, so that
// neighbouring threads have neighbouring channels: each warp's access is whole sectors where C is a multiple of 8.
// Backward asks for each pixel which windows hold it, and adds up their gradients (a gather): no atomics, and the same
// sum in each run. Window p begins at p·SH − PH; its tap i is the pixel p·SH − PH + i·DH.
//
// Grid: (images, rows, ceil(row / 256)); block: 256 threads; no shared memory (adaptive_avg_pool2d_forward has
// its own). Bytes per element of the result: forward sizeof(T) for each tap, of which neighbouring windows find most
// in the cache, so about sizeof(T) · SH · SW from memory, and sizeof(T) + 4 written. About 10 operations per tap.
// Limit: memory bandwidth where windows hardly overlap, else instruction issue.
#include "common.cuh"

struct Place {  // which number of the result a thread makes
    int n, row, column, channel;
    bool inside;
    index_t index;
};
__device__ __forceinline__ Place place_in(int rows, int columns, int channels) {
    Place at;
    int i = blockIdx.z * blockDim.x + threadIdx.x;
    at.inside = i < columns * channels;
    at.n = blockIdx.x;
    at.row = blockIdx.y;
    at.column = i / channels;
    at.channel = i % channels;
    at.index = ((index_t)at.n * rows + at.row) * columns * channels + i;
    return at;
}

// The last window that holds a pixel, counted from the border of the padding. The ones before it hold it, too, as long
// as they reach: p·S > at − span. (A loop backwards from the last costs one division, the first window another.)
__device__ __forceinline__ int last_window(int at, int stride, int count) {
    return min(at / stride, count - 1);
}

// NumPy: of the taps inside the image: y = max, place = h·W + w of the first that has it; nan wins, the last one.
template <typename T>
__global__ void max_pool2d_forward(const T* x, T* y, int* place, int H, int W, int C, int OH, int OW, int KH, int KW,
                                   int SH, int SW, int PH, int PW, int DH, int DW) {
    Place at = place_in(OH, OW, C);
    if (!at.inside) return;
    const T* image = x + (index_t)at.n * H * W * C + at.channel;
    T best = -infinity<T>();
    int winner = -1;  // nobody: −inf is a pixel, too
    for (int i = 0; i < KH; ++i) {
        int h = at.row * SH - PH + i * DH;
        if (h < 0 || h >= H) continue;
        for (int j = 0; j < KW; ++j) {
            int w = at.column * SW - PW + j * DW;
            if (w < 0 || w >= W) continue;
            T v = image[(index_t)(h * W + w) * C];
            if (v > best || is_nan(v) || winner < 0) best = v, winner = h * W + w;
        }
    }
    y[at.index] = best;
    place[at.index] = winner;
}

// NumPy: dx[n, h, w, c] = dy[n, p, q, c] summed over the windows (p, q) that (h, w) has won
template <typename T>
__global__ void max_pool2d_backward(const T* dy, const int* place, T* dx, int H, int W, int C, int OH, int OW,
                                    int spanH, int spanW, int SH, int SW, int PH, int PW) {
    Place at = place_in(H, W, C);
    if (!at.inside) return;
    int h = at.row + PH, w = at.column + PW, me = at.row * W + at.column;
    int lastP = last_window(h, SH, OH), lastQ = last_window(w, SW, OW);
    T sum = 0;
    for (int p = lastP; p >= 0 && p * SH > h - spanH; --p) {
        index_t row = ((index_t)at.n * OH + p) * OW * C + at.channel;
#pragma unroll 1  // there are one to three windows: unrolled, the code to get there would be longer than the loop
        for (int q = lastQ; q >= 0 && q * SW > w - spanW; --q) {
            index_t out = row + q * C;
            T d = dy[out];  // read before it is known to be wanted: both reads are under way at once
            if (place[out] == me) sum += d;
        }
    }
    dx[at.index] = sum;
}

// What a window's sum is divided by, along one axis: its pixels in the image, or with `padded` in the padded image.
__device__ __forceinline__ int pixels_of_window(int p, int kernel, int stride, int padding, int size, int padded) {
    int start = p * stride - padding, border = padded ? padding : 0;
    return min(start + kernel, size + border) - max(start, -border);
}

// NumPy: y = sum of the taps inside the image, in float64, / pixels of the window (or / divisor, unless that is 0)
template <typename T>
__global__ void avg_pool2d_forward(const T* x, T* y, int H, int W, int C, int OH, int OW, int KH, int KW, int SH,
                                   int SW, int PH, int PW, int padded, int divisor) {
    Place at = place_in(OH, OW, C);
    if (!at.inside) return;
    const T* image = x + (index_t)at.n * H * W * C + at.channel;
    int top = at.row * SH - PH, left = at.column * SW - PW;
    double sum = 0;
    for (int h = max(top, 0); h < min(top + KH, H); ++h)
        for (int w = max(left, 0); w < min(left + KW, W); ++w) sum += image[((index_t)h * W + w) * C];
    double pixels = (double)pixels_of_window(at.row, KH, SH, PH, H, padded) *
                    pixels_of_window(at.column, KW, SW, PW, W, padded);
    y[at.index] = T(sum / (divisor ? divisor : pixels));
}

// NumPy: dx[n, h, w, c] = dy / pixels of the window (or / divisor), summed over the windows that hold (h, w)
template <typename T>
__global__ void avg_pool2d_backward(const T* dy, T* dx, int H, int W, int C, int OH, int OW, int KH, int KW, int SH,
                                    int SW, int PH, int PW, int padded, int divisor) {
    Place at = place_in(H, W, C);
    if (!at.inside) return;
    int h = at.row + PH, w = at.column + PW;
    int lastP = last_window(h, SH, OH), lastQ = last_window(w, SW, OW);
    T sum = 0;
    for (int p = lastP; p >= 0 && p * SH > h - KH; --p) {
        const T* row = dy + ((index_t)at.n * OH + p) * OW * C + at.channel;
        T height = T(pixels_of_window(p, KH, SH, PH, H, padded));
#pragma unroll 1
        for (int q = lastQ; q >= 0 && q * SW > w - KW; --q) {
            T pixels = height * T(pixels_of_window(q, KW, SW, PW, W, padded));
            sum += row[q * C] / (divisor ? T(divisor) : pixels);
        }
    }
    dx[at.index] = sum;
}

// Adaptive windows: p of `count` runs from floor(p·size / count) to before ceil((p + 1)·size / count).
__device__ __forceinline__ int window_start(int p, int size, int count) {
    return (int)((index_t)p * size / count);
}
__device__ __forceinline__ int window_end(int p, int size, int count) {
    return (int)(((index_t)(p + 1) * size + count - 1) / count);
}

// NumPy: y[:, p, q] = x[:, rows, columns].mean(axis=(1, 2), dtype=np.float64)
// Grid: (windows of all images, ceil(C / 32)); block: 32 channels × 8: for a window as large as the image there are few
// results, so 8 threads share each. Shared memory: 8 × 32 doubles. Bytes per pixel: sizeof(T), read once.
template <typename T>
__global__ void adaptive_avg_pool2d_forward(const T* x, T* y, int H, int W, int C, int OH, int OW) {
    __shared__ double part[8][32];
    int n = blockIdx.x / (OH * OW), p = blockIdx.x / OW % OH, q = blockIdx.x % OW;
    int channel = blockIdx.y * 32 + threadIdx.x;
    int top = window_start(p, H, OH), left = window_start(q, W, OW);
    int width = window_end(q, W, OW) - left, pixels = (window_end(p, H, OH) - top) * width;
    double sum = 0;
    if (channel < C)
        for (int i = threadIdx.y; i < pixels; i += 8)
            sum += x[(((index_t)n * H + top + i / width) * W + left + i % width) * C + channel];
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || channel >= C) return;
    for (int k = 1; k < 8; ++k) sum += part[k][threadIdx.x];
    y[(index_t)blockIdx.x * C + channel] = T(sum / pixels);
}

// NumPy: dx[:, rows, columns] += dy[:, p, q] / pixels, over all windows
template <typename T>
__global__ void adaptive_avg_pool2d_backward(const T* dy, T* dx, int H, int W, int C, int OH, int OW) {
    Place at = place_in(H, W, C);
    if (!at.inside) return;
    T sum = 0;
    for (int p = window_start(at.row, OH, H); p < window_end(at.row, OH, H); ++p) {  // the windows that hold a row are
        int height = window_end(p, H, OH) - window_start(p, H, OH);  // those of its share of the output's rows
        for (int q = window_start(at.column, OW, W); q < window_end(at.column, OW, W); ++q) {
            int width = window_end(q, W, OW) - window_start(q, W, OW);
            sum += dy[(((index_t)at.n * OH + p) * OW + q) * C + at.channel] / T(height * width);
        }
    }
    dx[at.index] = sum;
}

// NumPy: y[:, p, q] = x[:, rows, columns].max(axis=(1, 2)); place = h·W + w of the first that has it; of nans the last
template <typename T>
__global__ void adaptive_max_pool2d_forward(const T* x, T* y, index_t* place, int H, int W, int C, int OH, int OW) {
    Place at = place_in(OH, OW, C);
    if (!at.inside) return;
    const T* image = x + (index_t)at.n * H * W * C + at.channel;
    T best = -infinity<T>();
    index_t winner = -1;
    for (int h = window_start(at.row, H, OH); h < window_end(at.row, H, OH); ++h)
        for (int w = window_start(at.column, W, OW); w < window_end(at.column, W, OW); ++w) {
            index_t here = (index_t)h * W + w;
            T v = image[here * C];
            if (v > best || is_nan(v) || winner < 0) best = v, winner = here;
        }
    y[at.index] = best;
    place[at.index] = winner;
}

// NumPy: dx[n, place[n, p, q, c], c] += dy[n, p, q, c], over all windows
template <typename T>
__global__ void adaptive_max_pool2d_backward(const T* dy, const index_t* place, T* dx, int H, int W, int C, int OH,
                                             int OW) {
    Place at = place_in(H, W, C);
    if (!at.inside) return;
    index_t me = (index_t)at.row * W + at.column;
    T sum = 0;
    for (int p = window_start(at.row, OH, H); p < window_end(at.row, OH, H); ++p)
        for (int q = window_start(at.column, OW, W); q < window_end(at.column, OW, W); ++q) {
            index_t out = (((index_t)at.n * OH + p) * OW + q) * C + at.channel;
            if (place[out] == me) sum += dy[out];
        }
    dx[at.index] = sum;
}
