/* A paged cache is written, and read by one query a text: every key and value once, where it lies, and no copy is made.
   float32. */

#include "vectors.h"

#define MOST_HEADS 4

/* The sums of four vectors, in fewer steps than one after the other. */
INLINE quarter four_sums(const vec v[4]) {
    quarter a = fold(v[0]), b = fold(v[1]), c = fold(v[2]), d = fold(v[3]);
    quarter ab = PICK(a, b, 0, 4, 1, 5) + PICK(a, b, 2, 6, 3, 7);
    quarter cd = PICK(c, d, 0, 4, 1, 5) + PICK(c, d, 2, 6, 3, 7);
    return PICK(ab, cd, 0, 1, 4, 5) + PICK(ab, cd, 2, 3, 6, 7);
}

/* Where a text's keys lie: `count` of them from key `first` on, in pages of P tokens of `step` numbers. */
typedef struct {
    const int64_t *blocks;
    ptrdiff_t first, count, P, step;
} Keys;

/* The keys from number `at` on that lie in one page: where they begin, how many, and where the page after it does. Whoever
   reads a row sends for the same row of the next page, which is somewhere else: no processor guesses where. */
INLINE const float *page(const float *cache, Keys keys, ptrdiff_t at, ptrdiff_t *count, const float **next) {
    ptrdiff_t slot = (keys.first + at) % keys.P, left = keys.count - at;
    const int64_t *block = keys.blocks + (keys.first + at) / keys.P;
    *count = keys.P - slot < left ? keys.P - slot : left;
    *next = *count < left ? cache + block[1] * keys.P * keys.step : cache;
    return cache + (block[0] * keys.P + slot) * keys.step;
}

/* scores (R, room) of R queries (R, D) against `count` keys */
INLINE void score(const int R, const float *restrict q, const float *row, const float *next, ptrdiff_t count, ptrdiff_t step,
                  ptrdiff_t D, float scale, float *restrict scores, ptrdiff_t room) {
    for (ptrdiff_t s = 0; s < count; s++, row += step) {
        vec sums[MOST_HEADS] = {{0}};
        for (ptrdiff_t d = 0; d < D; d += WIDE) {
            __builtin_prefetch(next + s * step + d, 0, 2);
            for (int r = 0; r < R; r++) sums[r] += *(const vec *)(row + d) * *(const vec *)(q + r * D + d);
        }
        quarter four = four_sums(sums) * scale;
        for (int r = 0; r < R; r++) scores[r * room + s] = four[r];
    }
}

/* out (R, D) += weights (R, room) times `count` values, V vectors at a time */
INLINE void mix(const int R, const int V, const float *weights, ptrdiff_t room, const float *row, const float *next,
                ptrdiff_t count, ptrdiff_t step, ptrdiff_t D, float *out) {
    for (ptrdiff_t d = 0; d < D; d += V * WIDE) {
        vec sums[MOST_HEADS][2];
        for (int r = 0; r < R; r++)
            for (int i = 0; i < V; i++) sums[r][i] = *(const vec *)(out + r * D + d + i * WIDE);
        for (ptrdiff_t s = 0; s < count; s++)
            for (int i = 0; i < V; i++) {
                __builtin_prefetch(next + s * step + d + i * WIDE, 0, 2);
                for (int r = 0; r < R; r++)
                    sums[r][i] += *(const vec *)(row + s * step + d + i * WIDE) * weights[r * room + s];
            }
        for (int r = 0; r < R; r++)
            for (int i = 0; i < V; i++) *(vec *)(out + r * D + d + i * WIDE) = sums[r][i];
    }
}

/* scores (count,), with room for whole vectors -> their softmax */
static void softmax(float *scores, ptrdiff_t count) {
    vec highest = (vec){0} - INFINITY, sums = {0};
    for (ptrdiff_t s = count; s % WIDE; s++) scores[s] = -INFINITY;
    for (ptrdiff_t s = 0; s < count; s += WIDE) {
        vec these = *(vec *)(scores + s);
        highest = choose(these > highest, these, highest);
    }
    float most = highest[0];
    for (int i = 1; i < WIDE; i++) most = highest[i] > most ? highest[i] : most;
    for (ptrdiff_t s = 0; s < count; s += WIDE) sums += *(vec *)(scores + s) = exponential(*(vec *)(scores + s) - most);
    float share = 1 / sum(sums);
    for (ptrdiff_t s = 0; s < count; s += WIDE) *(vec *)(scores + s) *= share;
}

#define FOR_HEADS(R, CALL) \
    do { \
        ptrdiff_t h = 0; \
        for (; h + 4 <= (R); h += 4) { enum { N = 4 }; CALL; } \
        for (; h + 2 <= (R); h += 2) { enum { N = 2 }; CALL; } \
        for (; h < (R); h++) { enum { N = 1 }; CALL; } \
    } while (0)

/* q (G, R, D) of one text -> out, for its KV heads from g up to `last`; scores (G, R, room) */
INLINE void one_text(const float *q, const float *k, const float *v, Keys keys, ptrdiff_t g, ptrdiff_t last, ptrdiff_t R,
                     const int V, ptrdiff_t D, float scale, float *scores, float *out) {
    ptrdiff_t room = (keys.count + WIDE - 1) / WIDE * WIDE, count;
    const float *next;
    for (ptrdiff_t s = 0; s < keys.count; s += count) {
        const float *rows = page(k, keys, s, &count, &next);
        for (ptrdiff_t j = g; j < last; j++)
            FOR_HEADS(R, score(N, q + (j * R + h) * D, rows + j * D, next + j * D, count, keys.step, D, scale,
                               scores + (j * R + h) * room + s, room));
    }
    for (ptrdiff_t h = g * R; h < last * R; h++) softmax(scores + h * room, keys.count);
    memset(out + g * R * D, 0, (last - g) * R * D * sizeof(float));
    for (ptrdiff_t s = 0; s < keys.count; s += count) {
        const float *rows = page(v, keys, s, &count, &next);
        for (ptrdiff_t j = g; j < last; j++)
            FOR_HEADS(R, mix(N, V, scores + (j * R + h) * room + s, room, rows + j * D, next + j * D, count, keys.step,
                             D, out + (j * R + h) * D));
    }
}

/* q (T, H, D), one query a text, with `stride` numbers from one to the next -> out (T, H, D). k and v (num_blocks, P, G, D);
   text t's blocks are those from blocks[starts[t]] on, and it sees the last `window` of its lengths[t] keys, or all if that
   is 0. `scores` has room for H * (the longest text, rounded up to 16) numbers a thread. D is a multiple of 16. */
void attend_pages(const float *q, const float *k, const float *v, const int64_t *blocks, const int64_t *starts,
                  const int64_t *lengths, int64_t T, int64_t H, int64_t G, int64_t D, int64_t P, int64_t window,
                  float scale, int64_t stride, float *scores, int64_t room, float *out, int threads) {
    int64_t parts = threads > 1 && T < 2 * threads ? G : 1; /* few texts are cut into their KV heads */
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (int64_t job = 0; job < T * parts; job++) {
        int64_t t = job / parts, part = job % parts, length = lengths[t];
        Keys keys = {blocks + starts[t], window && window < length ? length - window : 0, 0, P, G * D};
        keys.count = length - keys.first;
        int64_t g = G * part / parts, last = G * (part + 1) / parts;
        float *mine = scores + omp_get_thread_num() * room;
        /* The usual widths are known when this is compiled. */
#define TEXT(V, D) one_text(q + t * stride, k, v, keys, g, last, H / G, V, D, scale, mine, out + t * H * D)
        if (D == 64) TEXT(2, 64);
        else if (D == 128) TEXT(2, 128);
        else if (D == 32) TEXT(2, 32);
        else TEXT(1, D);
    }
}

/* k and v of T tokens, some numbers from one to the next and `width` of them each -> their slots of the pages. */
void keep(const float *k, int64_t k_stride, const float *v, int64_t v_stride, const int64_t *slots, int64_t T,
          int64_t width, float *k_pages, float *v_pages) {
    for (int64_t t = 0; t < T; t++) {
        memcpy(k_pages + slots[t] * width, k + t * k_stride, width * sizeof(float));
        memcpy(v_pages + slots[t] * width, v + t * v_stride, width * sizeof(float));
    }
}
