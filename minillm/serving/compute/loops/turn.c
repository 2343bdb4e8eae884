/* Queries and keys are turned by their positions. */

#include "vectors.h"

#define MANY 64 /* rows: fewer are done before another thread has woken up */

/* Each head x (D) of qk (n, heads, D), rows `stride` apart -> x * cos + (its halves swapped) * sin, in place. cos and sin
   (n, D), or one row for all where `step` is 0. D is a multiple of 32. */
void turn(float *qk, int64_t stride, const float *cos, const float *sin, int64_t step, int64_t n, int64_t heads, int64_t D,
          int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1 && n >= MANY)
    for (int64_t row = 0; row < n; row++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t d = 0; d < D / 2; d += WIDE) {
                vec *low = (vec *)(qk + row * stride + h * D + d), *high = (vec *)((float *)low + D / 2), before = *low;
                const float *c = cos + row * step + d, *s = sin + row * step + d;
                *low = before * *(const vec *)c + *high * *(const vec *)s;
                *high = *high * *(const vec *)(c + D / 2) + before * *(const vec *)(s + D / 2);
            }
}
