"""Addresses that move on, tiles of unequal sides, one axis of programs."""

from minillm.lab.little_triton import borrow_triton

triton, tl = borrow_triton()


@triton.jit
def kernel(a_ptr, b_ptr, out_ptr, M, N, K, sam, sak, sbk, sbn, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    tiles_n = tl.cdiv(N, BN)
    offs_m = tl.program_id(0) // tiles_n * BM + tl.arange(0, BM)
    offs_n = tl.program_id(0) % tiles_n * BN + tl.arange(0, BN)
    offs_k = tl.arange(0, BK)
    a_ptrs = a_ptr + offs_m[:, None] * sam + offs_k[None, :] * sak
    b_ptrs = b_ptr + offs_k[:, None] * sbk + offs_n[None, :] * sbn
    acc = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        a = tl.load(a_ptrs, mask=(offs_m < M)[:, None] & (offs_k < K - k)[None, :], other=0.0)
        b = tl.load(b_ptrs, mask=(offs_k < K - k)[:, None] & (offs_n < N)[None, :], other=0.0)
        acc += tl.dot(a, b, input_precision="ieee")
        a_ptrs += BK * sak
        b_ptrs += BK * sbk
    mask = (offs_m < M)[:, None] & (offs_n < N)[None, :]
    tl.store(out_ptr + offs_m[:, None] * N + offs_n[None, :], acc.to(out_ptr.dtype.element_ty), mask=mask)


def answer(a, b, out):
    (M, K), N = a.shape, b.shape[1]
    programs = triton.cdiv(M, 32) * triton.cdiv(N, 64)
    kernel[(programs,)](a, b, out, M, N, K, *a.stride(), *b.stride(), BM=32, BN=64, BK=16)
    return out
