// Elementwise operations, forward and backward: the twins of minicnn/ops/elementwise.py.
//
// Operands have one shape and one memory order already; the launcher broadcasts before (bookkeeping).
//
// Grid: ceil(n / 256) blocks along x; block: 256 threads, one element each; no shared memory.
// Neighbouring threads touch neighbouring addresses, so each warp's access is whole 32-byte sectors.
// Bytes per element: sizeof(T) for each array read or written. 1 to about 20 operations.
// Limit: memory bandwidth.
#include "common.cuh"

// NumPy: z = x + y
template <typename T>
__global__ void add_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = x[i] + y[i];
}

// NumPy: z = x - y
template <typename T>
__global__ void sub_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = x[i] - y[i];
}

// NumPy: z = x * y; also both gradients of a product
template <typename T>
__global__ void mul_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = x[i] * y[i];
}

// NumPy: z = x / y; also the gradient of the numerator
template <typename T>
__global__ void div_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = x[i] / y[i];
}

// NumPy: dy = -(dz / y) * z
template <typename T>
__global__ void div_backward(const T* dz, const T* y, const T* z, T* dy, index_t n) {
    index_t i = global_index();
    if (i < n) dy[i] = -(dz[i] / y[i]) * z[i];
}

// NumPy: y = -x
template <typename T>
__global__ void neg_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = -x[i];
}

// NumPy: z = np.power(x, y)
template <typename T>
__global__ void pow_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = pow(x[i], y[i]);
}

// NumPy: dx = dz * np.where(y == 0, 0, y * np.power(x, y - 1))
template <typename T>
__global__ void pow_backward_base(const T* dz, const T* x, const T* y, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dz[i] * (y[i] == T(0) ? T(0) : y[i] * pow(x[i], y[i] - T(1)));
}

// NumPy: dy = dz * np.where((x == 0) & (y >= 0), 0, z * np.log(x))
template <typename T>
__global__ void pow_backward_exponent(const T* dz, const T* x, const T* y, const T* z, T* dy, index_t n) {
    index_t i = global_index();
    if (i < n) dy[i] = dz[i] * (x[i] == T(0) && y[i] >= T(0) ? T(0) : z[i] * log(x[i]));
}

// NumPy: y = np.exp(x); its gradient dy * y is mul_forward
template <typename T>
__global__ void exp_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = exp(x[i]);
}

// NumPy: y = np.log(x); its gradient dy / x is div_forward
template <typename T>
__global__ void log_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = log(x[i]);
}

// NumPy: y = np.sqrt(x)
template <typename T>
__global__ void sqrt_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = sqrt(x[i]);
}

// NumPy: dx = dy / (2 * y)
template <typename T>
__global__ void sqrt_backward(const T* dy, const T* y, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i] / (T(2) * y[i]);
}

// NumPy: y = np.abs(x)
template <typename T>
__global__ void abs_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = fabs(x[i]);
}

// NumPy: dx = np.where(x > 0, dy, np.where(x < 0, -dy, 0))
template <typename T>
__global__ void abs_backward(const T* dy, const T* x, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = x[i] > T(0) ? dy[i] : x[i] < T(0) ? -dy[i] : T(0);
}

// NumPy: z = np.maximum(x, y)
template <typename T>
__global__ void maximum_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = larger(x[i], y[i]);
}

// NumPy: z = np.minimum(x, y)
template <typename T>
__global__ void minimum_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = x[i] < y[i] || is_nan(x[i]) ? x[i] : y[i];
}

// NumPy: dx = np.where(x < y, 0, np.where(x == y, dz / 2, dz)); dy likewise. With NaN neither is smaller: both get dz.
// minimum's gradient is this kernel with x and y exchanged (and dx, dy where they are): x gets 0 where y < x.
template <typename T>
__global__ void maximum_backward(const T* dz, const T* x, const T* y, T* dx, T* dy, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T shared = x[i] == y[i] ? dz[i] / T(2) : dz[i];
    dx[i] = x[i] < y[i] ? T(0) : shared;
    dy[i] = y[i] < x[i] ? T(0) : shared;
}

// NumPy: y = np.minimum(np.maximum(x, low), high)
template <typename T>
__global__ void clamp_forward(const T* x, T* y, T low, T high, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T raised = larger(x[i], low);
    y[i] = raised < high || is_nan(raised) ? raised : high;
}

// NumPy: dx = np.where((x >= low) & (x <= high), dy, 0)
template <typename T>
__global__ void clamp_backward(const T* dy, const T* x, T* dx, T low, T high, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = x[i] >= low && x[i] <= high ? dy[i] : T(0);
}

// NumPy: z = np.where(condition, x, y)
template <typename T>
__global__ void where_forward(const bool* condition, const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = condition[i] ? x[i] : y[i];
}

// NumPy: dx = np.where(condition, dz, 0); dy = np.where(condition, 0, dz)
template <typename T>
__global__ void where_backward(const T* dz, const bool* condition, T* dx, T* dy, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    dx[i] = condition[i] ? dz[i] : T(0);
    dy[i] = condition[i] ? T(0) : dz[i];
}
