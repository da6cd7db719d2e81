// Normalisation, forward and backward: the twins of minicnn/ops/norm.py.
//
// Images lie in memory as (N, H, W, C): a matrix of `rows` = N·H·W rows and C columns. Sums run in double, and so do
// the few operations between an element and its mean: x − mean loses all digits in float where the mean is large.
//
// Grid and block, unless a kernel says otherwise: (ceil(C / 32), pieces of the rows); 32 channels × 8 rows, so that a
// warp reads 32 neighbouring numbers of one row, and a thread keeps its channel's constants. Shared memory: at most
// 4 KiB. Bytes per element: sizeof(T) for each array of x's size read or written. 2 to 10 operations.
// Limit: memory bandwidth; where C is no multiple of 32, the lanes without a channel.
#include "common.cuh"

struct Piece {  // the rows [first, end) of one block along y
    index_t first, end;
};
__device__ __forceinline__ Piece piece_of(index_t rows) {
    return {rows * blockIdx.y / gridDim.y, rows * (blockIdx.y + 1) / gridDim.y};
}

// Adds up two sums per channel over the 8 threads of a column; the result is right in the threads with threadIdx.y = 0.
__device__ __forceinline__ void add_rows(double& one, double& two) {
    __shared__ double part[2][8][32];
    part[0][threadIdx.y][threadIdx.x] = one;
    part[1][threadIdx.y][threadIdx.x] = two;
    __syncthreads();
    for (int k = 1; k < 8 && threadIdx.y == 0; ++k) {
        one += part[0][k][threadIdx.x];
        two += part[1][k][threadIdx.x];
    }
}

// What is taken off a channel before its squares are added up: about its mean, so that few digits cancel.
template <typename T>
__device__ __forceinline__ double origin(const T* x, int channel) {
    double first = x[channel];
    return fabs(first) < (double)infinity<T>() ? first : 0.0;
}

// batch_norm: one mean and variance for each channel. Each block adds up a piece of the rows; the pieces' sums meet in
// batch_norm_statistics, in a fixed order, so that each run gives the same bits.

// NumPy: d = x - x[0]; partial[piece] = d[piece].sum(0), (d[piece] ** 2).sum(0)
template <typename T>
__global__ void batch_norm_sums(const T* x, double* partial, index_t rows, int C) {
    int channel = blockIdx.x * 32 + threadIdx.x;
    Piece piece = piece_of(rows);
    double sum = 0, squares = 0;
    if (channel < C) {
        double zero = origin(x, channel);
        for (index_t r = piece.first + threadIdx.y; r < piece.end; r += 8) {
            double d = x[r * C + channel] - zero;
            sum += d;
            squares += d * d;
        }
    }
    add_rows(sum, squares);
    if (threadIdx.y != 0 || channel >= C) return;
    partial[(2LL * blockIdx.y) * C + channel] = sum;
    partial[(2LL * blockIdx.y + 1) * C + channel] = squares;
}

// NumPy: mean = x.mean(0); variance = x.var(0); inverse = 1 / np.sqrt(variance + eps), from the sums of the pieces
// Grid: ceil(C / 256); block: 256 threads, one channel each.
template <typename T>
__global__ void batch_norm_statistics(const T* x, const double* partial, double* mean, double* variance,
                                      double* inverse, double eps, int pieces, index_t rows, int C) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= C) return;
    double sum = 0, squares = 0;
    for (int piece = 0; piece < pieces; ++piece) {
        sum += partial[(2LL * piece) * C + channel];
        squares += partial[(2LL * piece + 1) * C + channel];
    }
    double d = sum / rows;
    mean[channel] = origin(x, channel) + d;
    variance[channel] = squares / rows - d * d;
    inverse[channel] = 1 / sqrt(variance[channel] + eps);
}

// NumPy: running = (1 - momentum) * running + momentum * factor * value
// Grid: ceil(C / 256); block: 256 threads, one channel each.
template <typename T>
__global__ void move_statistic(T* running, const double* value, double momentum, double factor, int C) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel < C) running[channel] = T((1 - momentum) * running[channel] + momentum * (value[channel] * factor));
}

// NumPy: mean = running_mean; inverse = 1 / np.sqrt(running_var + eps)
// Grid: ceil(C / 256); block: 256 threads, one channel each.
template <typename T>
__global__ void batch_norm_constants(const T* running_mean, const T* running_var, double* mean, double* inverse,
                                     double eps, int C) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= C) return;
    mean[channel] = running_mean[channel];
    inverse[channel] = 1 / sqrt((double)running_var[channel] + eps);
}

// NumPy: y = w * ((x - mean) * inverse) + b. Without weights or biases w or b is not read.
template <typename T>
__global__ void batch_norm_forward(const T* x, const double* mean, const double* inverse, const T* w, const T* b, T* y,
                                   int has_w, int has_b, index_t rows, int C) {
    int channel = blockIdx.x * 32 + threadIdx.x;
    if (channel >= C) return;
    Piece piece = piece_of(rows);
    double m = mean[channel], s = inverse[channel];
    T scale = has_w ? w[channel] : T(1), shift = has_b ? b[channel] : T(0);
    for (index_t r = piece.first + threadIdx.y; r < piece.end; r += 8)
        y[r * C + channel] = T((x[r * C + channel] - m) * s) * scale + shift;
}

// The gradients of w and b, for all three layers: x_hat = (x − mean) · inverse with one mean for each channel
// (`per_channel`), or for each group of `size` channels of each image of `pixels` rows.
// NumPy: partial[piece] = dy[piece].sum(0), (dy * x_hat)[piece].sum(0)
template <typename T>
__global__ void gradient_sums(const T* dy, const T* x, const double* mean, const double* inverse, double* partial,
                              int per_channel, index_t pixels, int size, index_t rows, int C) {
    int channel = blockIdx.x * 32 + threadIdx.x;
    Piece piece = piece_of(rows);
    double sum = 0, products = 0;
    if (channel < C)
        for (index_t r = piece.first + threadIdx.y; r < piece.end; r += 8) {
            index_t group = per_channel ? channel : r / pixels * (C / size) + channel / size;
            double d = dy[r * C + channel];
            sum += d;
            products += d * T((x[r * C + channel] - mean[group]) * inverse[group]);
        }
    add_rows(sum, products);
    if (threadIdx.y != 0 || channel >= C) return;
    partial[(2LL * blockIdx.y) * C + channel] = sum;
    partial[(2LL * blockIdx.y + 1) * C + channel] = products;
}

// NumPy: total = partial.sum(0); db, dw = total.astype(T)
// Grid: ceil(C / 256); block: 256 threads, one channel each.
template <typename T>
__global__ void gradient_totals(const double* partial, double* total, T* dw, T* db, int pieces, int C) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= C) return;
    double sum = 0, products = 0;
    for (int piece = 0; piece < pieces; ++piece) {
        sum += partial[(2LL * piece) * C + channel];
        products += partial[(2LL * piece + 1) * C + channel];
    }
    total[channel] = sum;
    total[C + channel] = products;
    db[channel] = T(sum);
    dw[channel] = T(products);
}

// NumPy: g = dy * w; dx = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) * inverse. With running statistics, which do
// not depend on x, the two means are left out: `constant`.
template <typename T>
__global__ void batch_norm_backward(const T* dy, const T* x, const double* mean, const double* inverse, const T* w,
                                    const double* total, T* dx, int has_w, int constant, index_t rows, int C) {
    int channel = blockIdx.x * 32 + threadIdx.x;
    if (channel >= C) return;
    Piece piece = piece_of(rows);
    double m = mean[channel], s = inverse[channel], scale = has_w ? (double)w[channel] : 1.0;
    double of_dy = constant ? 0.0 : total[channel] / rows, of_product = constant ? 0.0 : total[C + channel] / rows;
    for (index_t r = piece.first + threadIdx.y; r < piece.end; r += 8) {
        double d = dy[r * C + channel];
        if (!constant) d -= of_dy + (x[r * C + channel] - m) * s * of_product;
        dx[r * C + channel] = T(d * scale * s);
    }
}

// group_norm: one mean and variance for each image and group of `size` channels. layer_norm is the same with one pixel
// and one group: the channels are the places in a row.
// Grid: one block per image and group; block: 128 threads, which go over the group's numbers three times (forward) or
// twice (backward), all but the first out of the cache while the group fits. Shared memory: 256 bytes.

struct Group {  // the numbers that share a mean: number i is channel i % size of pixel i / size
    index_t start, count;
    int size, C;
    __device__ __forceinline__ index_t at(index_t i) const { return start + i / size * C + i % size; }
};
__device__ __forceinline__ Group group_of(index_t pixels, int size, int C) {
    index_t groups = C / size, image = blockIdx.x / groups, group = blockIdx.x % groups;
    return {image * pixels * C + group * size, pixels * size, size, C};
}

// NumPy: mean = x.mean((1, 3)); inverse = 1 / np.sqrt(x.var((1, 3)) + eps); y = w * ((x - mean) * inverse) + b
template <typename T>
__global__ void group_norm_forward(const T* x, const T* w, const T* b, T* y, double* mean, double* inverse, double eps,
                                   int has_w, int has_b, index_t pixels, int size, int C) {
    Group group = group_of(pixels, size, C);
    int first = blockIdx.x % (C / size) * size;
    double sum = 0;
    for (index_t i = threadIdx.x; i < group.count; i += blockDim.x) sum += x[group.at(i)];
    double m = block_sum(sum) / group.count;
    sum = 0;
    for (index_t i = threadIdx.x; i < group.count; i += blockDim.x) {
        double d = x[group.at(i)] - m;
        sum += d * d;
    }
    double s = 1 / sqrt(block_sum(sum) / group.count + eps);
    for (index_t i = threadIdx.x; i < group.count; i += blockDim.x) {
        int channel = first + (int)(i % size);
        y[group.at(i)] = T((x[group.at(i)] - m) * s) * (has_w ? w[channel] : T(1)) + (has_b ? b[channel] : T(0));
    }
    if (threadIdx.x != 0) return;
    mean[blockIdx.x] = m;
    inverse[blockIdx.x] = s;
}

// NumPy: g = dy * w; dx = (g - g.mean((1, 3)) - x_hat * (g * x_hat).mean((1, 3))) * inverse
template <typename T>
__global__ void group_norm_backward(const T* dy, const T* x, const double* mean, const double* inverse, const T* w,
                                    T* dx, int has_w, index_t pixels, int size, int C) {
    Group group = group_of(pixels, size, C);
    int first = blockIdx.x % (C / size) * size;
    double m = mean[blockIdx.x], s = inverse[blockIdx.x], sum = 0, products = 0;
    for (index_t i = threadIdx.x; i < group.count; i += blockDim.x) {
        double g = dy[group.at(i)];
        if (has_w) g *= w[first + (int)(i % size)];
        sum += g;
        products += g * ((x[group.at(i)] - m) * s);
    }
    sum = block_sum(sum) / group.count;
    products = block_sum(products) / group.count;
    for (index_t i = threadIdx.x; i < group.count; i += blockDim.x) {
        double g = dy[group.at(i)];
        if (has_w) g *= w[first + (int)(i % size)];
        dx[group.at(i)] = T((g - sum - (x[group.at(i)] - m) * s * products) * s);
    }
}

// local_response_norm. Grid: ceil(n / 256); block: 256 threads, one element each. A window's channels are neighbours in
// memory, so `size` reads cost little more than one. Limit: instruction issue, by the power.

// NumPy: s = k + alpha / size * window_sum(x * x); y = x * s ** -beta
template <typename T>
__global__ void local_response_norm_forward(const T* x, T* s, T* y, int size, T share, T beta, T k, int C, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    int channel = (int)(i % C);
    int low = max(channel - size / 2, 0), high = min(channel + (size - 1) / 2, C - 1);
    const T* pixel = x + (i - channel);
    T sum = 0;
    for (int c = low; c <= high; ++c) sum += pixel[c] * pixel[c];
    s[i] = k + share * sum;
    y[i] = x[i] * pow(s[i], -beta);
}

// NumPy: dx = dy * s ** -beta - 2 * beta * share * x * window_sum(dy * y / s), the windows seen from the other side
template <typename T>
__global__ void local_response_norm_backward(const T* dy, const T* x, const T* s, const T* y, T* dx, int size, T share,
                                             T beta, int C, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    int channel = (int)(i % C);
    int low = max(channel - (size - 1) / 2, 0), high = min(channel + size / 2, C - 1);
    index_t pixel = i - channel;
    T sum = 0;
    for (int c = low; c <= high; ++c) sum += dy[pixel + c] * y[pixel + c] / s[pixel + c];
    dx[i] = dy[i] * pow(s[i], -beta) - 2 * beta * share * x[i] * sum;
}

// normalize: the rows of a matrix divided by their p-norms.
// Grid: one block per row; block: 128 threads. Shared memory: 512 bytes. Bytes per element: 2 sizeof(T) forward, of
// which one read comes from the cache, 5 sizeof(T) backward. Limit: memory bandwidth; for p other than 2, the power.

enum Norm { POWER, LARGEST, SMALLEST, COUNT };  // finite p, p = inf, p = −inf, p = 0: chosen by the launcher

// NumPy: norm = (np.abs(x) ** p).sum(1) ** (1 / p), or the largest, smallest |x| or how many are not 0;
// y = x / np.maximum(norm, eps)
template <typename T>
__global__ void normalize_forward(const T* x, T* norm, T* y, int kind, double p, T eps, index_t columns) {
    index_t start = blockIdx.x * columns;
    double sum = 0;
    T largest = kind == SMALLEST ? -infinity<T>() : T(0);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T v = fabs(x[start + i]);
        if (kind == POWER)
            sum += p == 2 ? v * v : pow(v, T(p));
        else if (kind == COUNT)
            sum += v != T(0);
        else
            largest = larger(largest, kind == LARGEST ? v : -v);
    }
    T found;
    if (kind == LARGEST || kind == SMALLEST) {
        found = block_max(largest);
        if (kind == SMALLEST) found = -found;
    } else {
        sum = block_sum(sum);
        found = T(kind == COUNT ? sum : pow(sum, 1 / p));
    }
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) y[start + i] = x[start + i] / larger(found, eps);
    if (threadIdx.x == 0) norm[blockIdx.x] = found;
}

// NumPy: m = np.maximum(norm, eps); slope = np.sign(x) * (np.abs(x) / norm) ** (p - 1), for p = ±inf np.sign(x) shared
// evenly by those that are the norm; dx = dy / m - np.where(norm >= eps, (dy * x).sum(1) / m ** 2 * slope, 0)
template <typename T>
__global__ void normalize_backward(const T* dy, const T* x, const T* norm, T* dx, int kind, double p, T eps,
                                   index_t columns) {
    index_t start = blockIdx.x * columns;
    T size = norm[blockIdx.x], limited = larger(size, eps);
    double along = 0;
    int chosen = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        along += dy[start + i] * x[start + i];
        chosen += fabs(x[start + i]) == size;
    }
    along = block_sum(along) / ((double)limited * limited);
    chosen = block_sum(chosen);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T v = x[start + i], sign = v > T(0) ? T(1) : v < T(0) ? T(-1) : v;  // v: 0, or nan
        T slope = 0;
        if (kind == POWER)
            slope = v == T(0) ? T(0) : p == 2 ? v / size : sign * pow(fabs(v) / size, T(p) - 1);
        else if (kind != COUNT && fabs(v) == size)
            slope = sign / chosen;
        dx[start + i] = T(dy[start + i] / limited - (size >= eps ? along * slope : 0.0));
    }
}
