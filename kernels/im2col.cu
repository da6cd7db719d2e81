// im2col and col2im: the twins of `unfold` and `fold` in minicnn/ops/conv.py, and with matmul.cu a convolution.
//
// im2col lays the window under each output pixel out as a column of a matrix; the convolution is then one matrix
// product. It costs memory: KH · KW times the image (conv.cu does without). col2im is its transpose: each pixel adds up
// what the windows that hold it have for it. It gathers, so no two threads write the same number.
//
// Grid: ceil(n / 256) blocks of 256 threads, one for each number of the result. No shared memory. Bytes per element:
// im2col reads one number, from the cache but for the first of the KH · KW times, and writes one; col2im reads
// KH · KW / (SH · SW) and writes one. About 30 operations on indices. Limit: im2col writing to memory, col2im reading.
#include "common.cuh"

// NumPy: columns[:, :, i, j] = padded[:, :, i * DH : i * DH + SH * OH : SH, j * DW : j * DW + SW * OW : SW]
template <typename T>
__global__ void im2col(const T* x, T* columns, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int PH,
                       int PW, int DH, int DW, index_t n) {
    index_t index = global_index();  // ((((image, channel), i), j), p), q
    if (index >= n) return;
    index_t plane = index / OW;
    int q = index % OW, p = plane % OH;
    plane /= OH;
    int j = plane % KW, i = plane / KW % KH;
    plane = plane / KW / KH;
    int h = p * SH - PH + i * DH, w = q * SW - PW + j * DW;
    columns[index] = h >= 0 && h < H && w >= 0 && w < W ? x[(plane * H + h) * W + w] : T(0);
}

// NumPy: padded[:, :, i * DH : i * DH + SH * OH : SH, j * DW : j * DW + SW * OW : SW] += columns[:, :, i, j], all i, j
template <typename T>
__global__ void col2im(const T* columns, T* x, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int PH,
                       int PW, int DH, int DW, index_t n) {
    index_t index = global_index();
    if (index >= n) return;
    index_t plane = index / W / H;
    int h = index / W % H + PH, w = index % W + PW;
    T sum = 0;
    for (int i = 0; i < KH; ++i) {
        int down = h - i * DH, p = down / SH;
        if (down < 0 || down % SH != 0 || p >= OH) continue;
        for (int j = 0; j < KW; ++j) {
            int right = w - j * DW, q = right / SW;
            if (right < 0 || right % SW != 0 || q >= OW) continue;
            sum += columns[(((plane * KH + i) * KW + j) * OH + p) * OW + q];
        }
    }
    x[index] = sum;
}
