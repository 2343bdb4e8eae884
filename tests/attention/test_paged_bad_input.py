"""Every malformed call of paged attention is refused before any work, by rule, numbers and remedy."""

import numpy as np
import pytest
import torch
from paged_cases import make_case

from minillm.attention.validate_paged import validate_paged
from minillm.errors import InvalidType, InvalidValue

TEXTS = ((1, 18), (5, 9), (0, 3))
NAMES = ("q", "k_cache", "v_cache", "block_table", "seq_lens", "query_start_loc", "max_query_len")


def call():
    return dict(zip(NAMES, make_case(TEXTS, P=4, H=4, G=2).call, strict=True))


def indices(*values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype)


def table(changes):
    changed = call()["block_table"]
    for place, value in changes.items():
        changed[place] = value
    return changed


def quantized(kind=torch.int8):
    cache = torch.zeros(8, 4, 2, 32).to(kind)
    return {"k_cache": cache, "v_cache": cache, "block_table": torch.zeros(3, 7, dtype=torch.int32)}


SCALES = torch.ones(8, 4, 2)
BAD = {
    "no tensor": ({"q": [1.0]}, InvalidType, r"q must be a torch tensor \(T, H, D\); got list"),
    "a batch": ({"q": torch.zeros(1, 6, 4, 32)}, InvalidValue, r"q must have 3 dimensions .* got 4: .*flatten\(0, 1\)"),
    "a dense cache": ({"v_cache": torch.zeros(9, 2, 32)}, InvalidValue, "v_cache must have 4 dimensions .* blocks of P"),
    "a sparse cache": ({"k_cache": call()["k_cache"].to_sparse()}, InvalidType, "k_cache must be a dense tensor"),
    "integers": ({"q": torch.zeros(6, 4, 32).int()}, InvalidType, "q must hold floating-point numbers; got torch.int32"),
    "heads": ({"q": torch.zeros(6, 3, 32)}, InvalidValue, "multiple of num_kv_heads G; got 3 and 2"),
    "widths": ({"q": torch.zeros(6, 4, 16)}, InvalidValue, "same head width D; got 16 and 32"),
    "another pool": ({"v_cache": torch.zeros(3, 4, 2, 32)}, InvalidValue, "one shape, with P of 1 or more; got"),
    "dtypes": ({"q": torch.zeros(6, 4, 32).half()}, InvalidType, r"got torch.float16 and torch.float32; convert .*q.to\("),
    "cache dtypes": ({"v_cache": call()["v_cache"].half()}, InvalidType, "share one dtype; got torch.float32 and torch.float16"),
    "a cache elsewhere": ({"k_cache": call()["k_cache"].to("meta")}, InvalidValue, "on one device; got cpu, meta, cpu"),
    "scales of floats": ({"k_scale": SCALES}, InvalidType, "scales belong to a quantised cache"),
    "no scales": (quantized(), InvalidType, "a cache of torch.int8 needs k_scale, .* got NoneType"),
    "one scale": (quantized() | {"k_scale": SCALES}, InvalidType, "needs v_scale"),
    "half scales": (quantized() | {"k_scale": SCALES.half()}, InvalidType, "float32 tensor .* got torch.float16"),
    "a scale a token": (quantized() | {"k_scale": SCALES[..., 0]}, InvalidValue, r"got \(8, 4\) for \(8, 4, 2, 32\)"),
    "scales elsewhere": (quantized() | {"k_scale": SCALES.to("meta")}, InvalidValue, "on the cache's device; got meta"),
    "int64 table": ({"block_table": call()["block_table"].long()}, InvalidType, r"\(B, max_blocks\); got torch.int64"),
    "a sparse table": ({"block_table": call()["block_table"].to_sparse()}, InvalidType, "block_table must be a dense tensor"),
    "sparse lengths": ({"seq_lens": call()["seq_lens"].to_sparse()}, InvalidType, "seq_lens must be a dense tensor"),
    "a list of lengths": ({"seq_lens": [1, 2, 3]}, InvalidType, r"seq_lens must be an int32 tensor \(B,\); got list"),
    "a flat table": ({"block_table": indices(1, 2, 3)}, InvalidValue, r"shape \(B, max_blocks\); got \(3,\)"),
    "lengths elsewhere": ({"seq_lens": call()["seq_lens"].to("meta")}, InvalidValue, "where the queries are; got meta"),
    "another text": ({"seq_lens": indices(1, 2)}, InvalidValue, "same texts; got 3 rows of the table, 2 lengths, 4"),
    "no first offset": ({"query_start_loc": indices(1, 6, 6)}, InvalidValue, "3 lengths, 3 offsets; .* a 0 before"),
    "not from 0": ({"query_start_loc": indices(1, 1, 6, 6)}, InvalidValue, "must start at 0; got 1"),
    "not ascending": ({"query_start_loc": indices(0, 7, 6, 6)}, InvalidValue, "must ascend; got 7 and then 6 at 2"),
    "short of T": ({"query_start_loc": indices(0, 1, 5, 5)}, InvalidValue, "must end at T; got an end at 5 for 6 tokens"),
    "shorter than the queries": ({"seq_lens": indices(18, 4, 3)}, InvalidValue, "got 4 for 5 queries of text 1"),
    "a negative length": ({"seq_lens": indices(18, 9, -1)}, InvalidValue, "got -1 for 0 queries of text 2"),
    "beyond the table": ({"seq_lens": indices(29, 9, 3)}, InvalidValue, r"reach, max_blocks \* P; got 29 for text 0, of 28"),
    "outside the pool": ({"block_table": table({(1, 2): 12})}, InvalidValue, "got 12 at block 2 of text 1, of 12 blocks"),
    "below the pool": ({"block_table": table({(0, 4): -1})}, InvalidValue, "got -1 at block 4 of text 0"),
    "padding used": ({"seq_lens": indices(21, 9, 3)}, InvalidValue, "got 2147483647 at block 5 of text 0"),
    "too short a longest": ({"max_query_len": 4}, InvalidValue, "longest run of queries; got 4 for a text of 5; pass 5"),
    "a longest of None": ({"max_query_len": None}, InvalidType, "must be a whole number; got NoneType None"),
    "a negative longest": ({"max_query_len": -1}, InvalidValue, "must not be negative; got -1"),
    "a window of 0": ({"window": 0}, InvalidValue, "window must be at least 1"),
    "a cap": ({"softcap": -1.0}, InvalidValue, "softcap must be a finite number"),
    "sinks": ({"sinks": torch.zeros(3)}, InvalidValue, r"got \(3,\) for H=4"),
    "a scale": ({"scale": float("nan")}, InvalidValue, "scale must be a finite number"),
    "lse of 1": ({"return_lse": 1}, InvalidType, "return_lse must be True or False; got int 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused(case):
    change, error, text = BAD[case]
    with pytest.raises(error, match=text):
        validate_paged(**(call() | change))


def test_a_good_call_tells_each_texts_lengths():
    assert validate_paged(**call()) == list(TEXTS)
    assert validate_paged(**(call() | {"max_query_len": np.int64(2**40)}), window=5, softcap=2, scale=1) == list(TEXTS)
    for kind in (torch.int8, torch.float8_e4m3fn):
        assert validate_paged(**(call() | quantized(kind)), k_scale=SCALES, v_scale=SCALES) == list(TEXTS)


def test_tensors_without_memory_are_checked_by_shape_alone():
    shapes = {name: x.to("meta") if isinstance(x, torch.Tensor) else x for name, x in call().items()}
    assert validate_paged(**shapes) == []
    with pytest.raises(InvalidValue, match="same texts"):
        validate_paged(**(shapes | {"seq_lens": shapes["seq_lens"][:1]}))


def test_a_table_that_numpy_changes_is_read_again():
    arguments = call()
    shared = arguments["block_table"].numpy()
    validate_paged(**arguments)
    shared[0, 0] = 99
    with pytest.raises(InvalidValue, match="got 99 at block 0 of text 0"):
        validate_paged(**arguments)


def test_another_table_in_the_same_memory_is_read_too(monkeypatch):
    """As a GPU's allocator hands out again what was given back: the address and the count of writes are the old one's."""
    monkeypatch.setattr("minillm.attention.validate_paged._tells_of_writes", lambda tensors: True)
    arguments = call() | {"seq_lens": indices(18, 9, 3)}
    lengths, memory = arguments["seq_lens"], arguments["block_table"].numpy()
    for _ in range(2):
        assert validate_paged(**arguments) == list(TEXTS)
    arguments["block_table"] = torch.from_numpy(memory)
    memory[0, 0] = 99
    with pytest.raises(InvalidValue, match="got 99 at block 0 of text 0"):
        validate_paged(**arguments)
    memory[0, 0] = 0
    assert validate_paged(**(arguments | {"seq_lens": lengths.clone()[:3]})) == list(TEXTS)
    narrow = arguments["block_table"][:, :2]
    with pytest.raises(InvalidValue, match="reach, max_blocks"):
        validate_paged(**(arguments | {"block_table": narrow}))


def test_what_was_read_is_known_until_it_is_written_to(monkeypatch):
    monkeypatch.setattr("minillm.attention.validate_paged._tells_of_writes", lambda tensors: True)
    arguments, reads, real = call(), [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: reads.append(x) or real(x))
    for _ in range(3):
        validate_paged(**arguments)
    assert len(reads) == 2
    arguments["seq_lens"][2] = 29
    with pytest.raises(InvalidValue, match="got 29 for text 2"):
        validate_paged(**arguments)
    arguments["seq_lens"][2] = 3
    with pytest.raises(InvalidValue, match="must end at T"):
        validate_paged(**(arguments | {"q": arguments["q"][:5]}))


@pytest.mark.gpu
def test_a_gpus_tensors_are_read_once_and_again_when_they_change(monkeypatch):
    arguments = {name: x.cuda() if isinstance(x, torch.Tensor) else x for name, x in call().items()}
    reads = []
    real = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: reads.append(x) or real(x))
    for _ in range(3):
        validate_paged(**arguments)
    assert len(reads) == 2
    arguments["block_table"][0, 0] = 99
    with pytest.raises(InvalidValue, match="got 99 at block 0 of text 0"):
        validate_paged(**arguments)
