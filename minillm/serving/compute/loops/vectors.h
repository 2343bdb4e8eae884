/* Vectors of 16 numbers, GCC's and Clang's own, which become whatever the processor has; and what every loop asks of them. */

#ifndef VECTORS_H
#define VECTORS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef _OPENMP
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);
#else
#define omp_get_thread_num() 0
#define omp_get_num_threads() 1
#endif

#define WIDE 16
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(64), aligned(4)));
typedef float half __attribute__((vector_size(32)));
typedef float quarter __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(64)));

/* Four of two vectors' eight numbers. GCC had a word of its own for it before version 12. */
#if defined __clang__ || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (int32_t __attribute__((vector_size(16)))){__VA_ARGS__})
#endif

INLINE quarter fold(vec v) {
    half low, high;
    quarter a, b;
    memcpy(&low, &v, 32), memcpy(&high, (char *)&v + 32, 32);
    low += high;
    memcpy(&a, &low, 16), memcpy(&b, (char *)&low + 16, 16);
    return a + b;
}

INLINE float sum(vec v) {
    quarter a = fold(v);
    return (a[0] + a[1]) + (a[2] + a[3]);
}

/* |x|² */
INLINE float square(const float *x, ptrdiff_t count) {
    vec sums[4] = {{0}};
    ptrdiff_t i = 0;
    for (; i + 4 * WIDE <= count; i += 4 * WIDE)
        for (int lane = 0; lane < 4; lane++) sums[lane] += *(const vec *)(x + i + lane * WIDE) * *(const vec *)(x + i + lane * WIDE);
    float all = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < count; i++) all += x[i] * x[i];
    return all;
}

INLINE vec choose(ints where, vec this, vec that) { return (vec)((where & (ints)this) | (~where & (ints)that)); }

/* e^x for x <= 0: 2^n times a polynomial in what is left, as in Moshier's Cephes. 1.6e-38 for less than -87; NaN for NaN. */
INLINE vec exponential(vec given) {
    vec x = choose((ints)(given < -87.0f), (vec){0} - 87.0f, given);
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: what is added to it has no fraction left */
    vec n = shifted - 12582912.0f;
    x = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = x * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * x + 8.3334519073e-3f;
    p = p * x + 4.1665795894e-2f;
    p = p * x + 1.6666665459e-1f;
    p = p * x + 5.0000001201e-1f;
    p = p * x * x + x + 1.0f;
    return choose((ints)(given == given), (vec)((ints)p + ((ints)shifted << 23)), given);
}

#endif
