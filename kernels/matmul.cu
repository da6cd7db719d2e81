// Matrix products: the twins of minicnn/ops/matmul.py, and the readable half of convolution (im2col.cu is the other).
//
// Each number of a product needs a row of x and a column of y. Thread by thread that would read every number of x M
// times from memory. So a block makes a tile of 32 × 32 numbers of z: it walks along K in steps of 32, puts a tile of x
// and one of y into shared memory, and every number there serves 32 threads. conv.cu goes on from here: there a thread
// keeps a tile of its own in registers.
//
// Grid: the tiles of all matrices along x; block: 32 × 8 threads, each makes 4 numbers of one column. Shared memory:
// 2 tiles of 32 × 33 numbers; the 33rd column makes a column of the tile lie in 32 different banks. Bytes per element
// of z: 2 · K / 32 numbers read, one written, against 2 · K operations: 8 per byte in float.
// Limit: reads of shared memory, 5 for 4 multiply-adds; about a quarter of a GPU's peak.
#include "common.cuh"

constexpr int TILE = 32;

// Puts a tile of a matrix into shared memory, with 0 beyond its edges. Its rows begin at `row`, its columns at
// `column`. A transposed matrix lies in memory as (columns, rows): then neighbouring threads walk along its rows.
template <typename T>
__device__ __forceinline__ void load_tile(const T* matrix, T (&tile)[TILE][TILE + 1], index_t row, index_t column,
                                          index_t rows, index_t columns, int transposed) {
    for (int k = threadIdx.y; k < TILE; k += 8) {
        int i = transposed ? threadIdx.x : k, j = transposed ? k : threadIdx.x;
        index_t r = row + i, c = column + j;
        T v = T(0);
        if (r < rows && c < columns) v = matrix[transposed ? c * rows + r : r * columns + c];
        tile[i][j] = v;
    }
}

// NumPy: z[i] = x[i % x_count] @ y[i % y_count] + b[i % y_count], i < batch; (N, K), (K, M) → (N, M). With x_transposed
// x[i] lies in memory as (K, N), with y_transposed y[i] as (M, K); without has_b, b is not read. linear: y = wᵀ.
template <typename T>
__global__ void matmul_tiled(const T* x, const T* y, const T* b, T* z, int has_b, index_t x_count, index_t y_count,
                             index_t N, index_t K, index_t M, int x_transposed, int y_transposed) {
    __shared__ T x_tile[TILE][TILE + 1], y_tile[TILE][TILE + 1];
    index_t across = (M + TILE - 1) / TILE, down = (N + TILE - 1) / TILE;
    index_t column = blockIdx.x % across * TILE, row = blockIdx.x / across % down * TILE;
    index_t matrix = blockIdx.x / across / down, y_matrix = matrix % y_count;
    x += matrix % x_count * N * K;
    y += y_matrix * K * M;
    T sum[4] = {T(0), T(0), T(0), T(0)};
    for (index_t k = 0; k < K; k += TILE) {
        load_tile(x, x_tile, row, k, N, K, x_transposed);
        load_tile(y, y_tile, k, column, K, M, y_transposed);
        __syncthreads();
        for (int i = 0; i < TILE; ++i) {
            T v = y_tile[i][threadIdx.x];
            for (int r = 0; r < 4; ++r) sum[r] += x_tile[threadIdx.y + 8 * r][i] * v;
        }
        __syncthreads();
    }
    index_t c = column + threadIdx.x;
    if (c >= M) return;
    T bias = has_b ? b[y_matrix * M + c] : T(0);
    for (int r = 0; r < 4; ++r) {
        index_t i = row + threadIdx.y + 8 * r;
        if (i < N) z[(matrix * N + i) * M + c] = sum[r] + bias;
    }
}
