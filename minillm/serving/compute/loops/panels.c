/* Rows times a matrix: y = x W' + what is added, for one row or a thousand.

   The matrix lies in panels, each some columns of y wide: all that one step along x multiplies lies side by side. A tile of
   R rows by one panel is summed in registers. Of a tile's numbers each weight is read once for R rows and each x once for a
   panel, so the multipliers never wait for the nearest cache. With few rows they wait for memory, so memory is asked
   ahead: the first tile of a panel asks for what itself needs next, the others for the panel after.

   Every sum is taken in the order of x, whatever tile it falls into: a row's product has the same bits alone and in company.
*/

#include "vectors.h"

#if defined __AVX512F__ && defined __AVX512BF16__
#include <immintrin.h>
#define HALVES 1
#else
#define HALVES 0
#endif

/* A tile's sums, a panel's step and one x must fit into the registers. */
#if defined __AVX512F__
#define V 4
#define REGISTER 64
#elif defined __AVX__
#define V 2
#define REGISTER 32
#elif defined __aarch64__
#define V 4
#define REGISTER 16
#else
#define V 2
#define REGISTER 16
#endif
#define R 6
#define LANES (REGISTER / 4)
#define PANEL (V * LANES)
#define SMALL 65536        /* multiplications: fewer are done before another thread has woken up */
#define LINE 64            /* bytes that memory gives at once */
#define AHEAD 2048         /* bytes: what comes while a few steps are computed */
#define CACHED (384 << 10) /* bytes of x that are gone over for panel after panel, from a core's own cache */

typedef float lanes __attribute__((vector_size(REGISTER), aligned(4)));

/* A matrix (out, in) as panels (⌈out / PANEL⌉, steps, PANEL), filled up with zeros; bias, as long as all are wide, or
   nothing. A step is one number of x, or in `halves` two neighbours in bfloat16, which lie where one float would. One that
   is `gated` gives half as many columns: half of a panel are gates, and the other half what each lets through. */
typedef struct {
    const float *panels, *bias;
    int64_t in, steps, out, gated, halves;
} Matrix;

int64_t panel_width(void) { return PANEL; }

int knows_halves(void) { return HALVES; }

int is_threaded(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* What becomes of the sums: y = sums * scale + bias + total, each but the sums if it is there; then gated, if they are. */
typedef struct {
    const float *scale, *total;
    float *y;
} Result;

/* values (PANEL,) -> its first half: silu(gate) * up, where silu(g) = g / (1 + e^-g) */
INLINE void let_through(float *values) {
    for (ptrdiff_t c = 0; c < PANEL / 2; c += WIDE) {
        vec gate = *(vec *)(values + c), up = *(vec *)(values + PANEL / 2 + c);
        ints negative = gate < 0;
        vec small = exponential(choose(negative, gate, -gate)); /* e^-|g| never overflows */
        gate *= choose(negative, small, (vec){0} + 1.0f) / (1.0f + small);
        *(vec *)(values + c) = gate * up;
    }
}

INLINE void finish(const Matrix *m, Result to, const lanes *sums, ptrdiff_t row, ptrdiff_t p) {
    ptrdiff_t wide = m->gated ? PANEL / 2 : PANEL, all = m->gated ? m->out / 2 : m->out, column = p * wide;
    ptrdiff_t count = all - column < wide ? all - column : wide;
    float values[PANEL + WIDE], *y = to.y + row * all + column; /* room to read a whole vector from anywhere */
    float scale = to.scale ? to.scale[row] : 1;
    for (int v = 0; v < V; v++) {
        lanes value = sums[v] * scale;
        if (m->bias) value += *(const lanes *)(m->bias + p * PANEL + v * LANES);
        *(lanes *)(values + v * LANES) = value;
    }
    if (m->gated) let_through(values);
    if (to.total)
        for (ptrdiff_t c = 0; c < count; c++) y[c] = values[c] + to.total[row * all + column + c];
    else
        memcpy(y, values, count * sizeof(float));
}

/* sum + weights * x, of floats or of pairs of halves */
INLINE lanes accumulate(const int halves, lanes sum, lanes weights, float x) {
#if HALVES
    if (halves) return (lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)weights, (__m512bh)_mm512_set1_ps(x));
#endif
    return sum + weights * x;
}

/* N rows of x by one panel; `lines` a step are asked for, from `next` on. */
INLINE void tile(const int N, const int lines, const int halves, const Matrix *m, const float *panel, const char *next, const float *x,
                 ptrdiff_t stride, Result to, ptrdiff_t row, ptrdiff_t p) {
    lanes sums[R][V];
    for (int n = 0; n < N; n++)
        for (int v = 0; v < V; v++) sums[n][v] = (lanes){0};
    for (ptrdiff_t i = 0; i < m->steps; i++, panel += PANEL) {
        for (int line = 0; line < lines; line++) __builtin_prefetch(next + (i * lines + line) * LINE, 0, 2);
        lanes weights[V];
        for (int v = 0; v < V; v++) weights[v] = *(const lanes *)(panel + v * LANES);
        for (int n = 0; n < N; n++) {
            float one = x[n * stride + i];
            for (int v = 0; v < V; v++) sums[n][v] = accumulate(halves, sums[n][v], weights[v], one);
        }
    }
    for (int n = 0; n < N; n++) finish(m, to, sums[n], row + n, p);
}

/* Rows from `first` up to `last` by panel number p. */
INLINE void rows_by_panel(const int halves, const Matrix *m, ptrdiff_t p, const float *x, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                          Result to) {
    enum { ALL = (PANEL * 4 + LINE - 1) / LINE, HALF = (ALL + 1) / 2 }; /* lines of memory a step */
    const float *panel = m->panels + p * m->steps * PANEL;
    const char *here = (const char *)panel, *after = here + m->steps * PANEL * 4, *next = after;
    ptrdiff_t tiles = (last - first + R - 1) / R;
    for (ptrdiff_t t = 0, row = first; t < tiles; t++) {
        ptrdiff_t N = (last - row + tiles - t - 1) / (tiles - t); /* as even as they go */
        int lines = tiles > 3 ? 1 : HALF;
        if (next - after >= after - here) lines = 0; /* all is on its way */
#define TILE(N, NEXT, LINES) tile(N, LINES, halves, m, panel, NEXT, x + row * stride, stride, to, row, p)
#define CASE(N) \
    case N: \
        if (tiles == 1) TILE(N, here + AHEAD, ALL); \
        else if (lines > 1) TILE(N, next, HALF); \
        else if (lines) TILE(N, next, 1); \
        else TILE(N, next, 0); \
        break;
        switch (N) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) }
        next += lines * m->steps * LINE;
        row += N;
    }
}

static void some_rows(const Matrix *m, ptrdiff_t p, const float *x, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                      Result to) {
    if (m->halves) rows_by_panel(1, m, p, x, stride, first, last, to);
    else rows_by_panel(0, m, p, x, stride, first, last, to);
}

/* x (in,) -> its numbers in bfloat16, to the nearest and of two as near to the even one; a last odd one has a zero beside it. */
static void halve(const float *x, ptrdiff_t in, uint16_t *halves) {
    for (ptrdiff_t i = 0; i < in; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        halves[i] = x[i] == x[i] ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fc0;
    }
    if (in % 2) halves[in] = 0;
}

/* x (n, in), its rows `stride` apart -> y (n, out), or (n, out / 2) gated. `total`, as large as y, is added if it is there,
   and may be y. Where `floor` is not negative x is first divided by its root mean square, that is by √(|x|² + floor²) / √in:
   the √in is in the matrix already. `scale` is room for n numbers, and `rounded` for n * steps where there are halves. */
void times_panels(const Matrix *m, const float *x, int64_t stride, float floor, const float *total, float *y, int64_t n,
                  float *scale, float *rounded, int threads) {
    ptrdiff_t panels = (m->out + PANEL - 1) / PANEL, most = CACHED / (4 * m->steps) / R * R;
    if (n == 0) return;
    if (most < R) most = R;
    ptrdiff_t spans = (n + most - 1) / most, jobs = spans * panels;
    ptrdiff_t span = ((n + spans - 1) / spans + R - 1) / R * R; /* as even as they go: threads get as many jobs each */
    Result to = {floor < 0 ? NULL : scale, total, y};
    const float *rows = m->halves ? rounded : x;
    ptrdiff_t apart = m->halves ? m->steps : stride;
    if (n * m->in * m->out < SMALL) threads = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        ptrdiff_t thread = omp_get_thread_num(), all = omp_get_num_threads();
        for (ptrdiff_t r = n * thread / all; r < n * (thread + 1) / all; r++) {
            if (to.scale) scale[r] = 1 / sqrtf(square(x + r * stride, m->in) + floor * floor);
            if (m->halves) halve(x + r * stride, m->in, (uint16_t *)(rounded + r * m->steps));
        }
#pragma omp barrier
        for (ptrdiff_t job = jobs * thread / all; job < jobs * (thread + 1) / all; job++) {
            ptrdiff_t first = job / panels * span;
            some_rows(m, job % panels, rows, apart, first, first + span < n ? first + span : n, to);
        }
    }
}
