"""The KV-cache calculator against arithmetic done by hand, and its verdicts at the edge."""

import pytest

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.kv_memory import GPU_BYTES, LENGTHS, explore_kv_memory
from minillm.model import KNOWN_CONFIGS


@pytest.fixture(scope="module")
def calculator():
    return explore_kv_memory()


# Worked by hand: 2 (key, value) x layers x key/value heads x head width x bytes.
@pytest.mark.parametrize(
    ("model", "cache_dtype", "bytes_per_token"),
    [
        ("Llama-3.1-8B", "bfloat16", 131_072),
        ("Llama-3.1-8B", "fp8", 65_536),
        ("Llama-3.1-8B", "float32", 262_144),
        ("Llama-2-7B", "bfloat16", 524_288),
        ("Llama-3.1-70B", "int8", 163_840),
        ("Qwen3-0.6B", "bfloat16", 114_688),
        ("Qwen2.5-7B", "bfloat16", 57_344),
    ],
)
def test_bytes_of_one_token(calculator, model, cache_dtype, bytes_per_token):
    data = calculator.data(model=model, cache_dtype=cache_dtype, batch=3, length=1024)
    assert data.bytes_per_token == bytes_per_token
    assert data.cache_bytes == bytes_per_token * 3 * 1024


# The counts their authors publish.
@pytest.mark.parametrize(
    ("model", "parameters"),
    [("Llama-3.1-8B", 8_030_261_248), ("Llama-2-7B", 6_738_415_616), ("Qwen3-0.6B", 596_049_920)],
)
def test_weights(calculator, model, parameters):
    data = calculator.data(model=model, weight_dtype="int4")
    assert (data.parameters, data.weight_bytes) == (parameters, parameters // 2)


@pytest.mark.parametrize("model", list(KNOWN_CONFIGS))
@pytest.mark.parametrize("gpu", ["T4", "H100-SXM", "B200"])
def test_the_largest_batch_fits_and_one_more_does_not(calculator, model, gpu):
    data = calculator.data(model=model, gpu=gpu, length=8192)
    largest = data.max_batch

    def total(batch):
        return data.weight_bytes + batch * 8192 * data.bytes_per_token

    assert total(largest + 1) > GPU_BYTES[gpu]
    assert largest == 0 or total(largest) <= GPU_BYTES[gpu]
    if 1 <= largest < 512:
        assert calculator.data(model=model, gpu=gpu, length=8192, batch=largest).fits
        assert not calculator.data(model=model, gpu=gpu, length=8192, batch=largest + 1).fits


def test_a_sliding_window_is_told_apart_from_the_whole_cache(calculator):
    data = calculator.data(model="Mistral-7B-v0.1", length=32768, batch=2)
    assert data.cache_in_window == data.cache_bytes // 8
    assert "sliding window of 4096 tokens keeps 1 073 741 824 bytes" in calculator.text(
        model="Mistral-7B-v0.1", length=32768, batch=2
    )
    assert "sliding" not in calculator.text()


def test_the_text_is_exact(calculator):
    assert calculator.text().splitlines() == [
        "Llama-3.1-8B: 8 030 261 248 parameters, 16 060 522 496 bytes (15 GiB) in bfloat16",
        "KV cache a token: 2 x 32 layers x 8 KV heads x 128 x 2 bytes = 131 072 bytes (128 KiB)",
        "KV cache in all: x 8192 tokens x 16 requests = 17 179 869 184 bytes (16 GiB)",
        "weights and cache: 33 240 391 680 bytes (31 GiB); H100-SXM has 80 000 000 000 bytes (74.5 GiB)",
        "fits, 43.5 GiB to spare for activations; largest batch at this length: 59 requests",
    ]


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ({"model": "Llama-3.1-405B", "gpu": "T4"}, "does not fit: the weights alone are too large"),
        ({"model": "Llama-2-7B", "gpu": "T4", "length": 131072}, "does not fit: not even one request"),
        ({"batch": 512}, "does not fit; largest batch at this length: 59 requests; or at least 8 such GPUs"),
        ({"model": "Llama-2-7B", "length": 8192}, "was made for at most 4096 tokens"),
        ({"cache_dtype": "fp8"}, "the scales that go with fp8 are not counted"),
    ],
)
def test_verdicts_and_warnings(calculator, state, verdict):
    assert verdict in calculator.text(**state)


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.kv_calculator()
    moves = {
        "model": "Qwen3-8B",
        "gpu": "L4",
        "weight_dtype": "int8",
        "cache_dtype": "int8",
        "batch": 7,
        "length": 1024,
    }
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name
        assert getattr(panel.data, name) == value


def test_the_extremes_draw(calculator):
    for state in (
        {"batch": 512, "length": LENGTHS[-1], "model": "Llama-3.1-405B", "gpu": "A100-80GB-PCIe"},
        {"batch": 1, "length": LENGTHS[0]},
    ):
        assert calculator.still(**state).png


@pytest.mark.parametrize(
    ("names", "message"),
    [({"model": "Llama-3.1-9B"}, "did you mean 'Llama-3.1-8B'"), ({"gpu": "H100"}, "unknown GPU 'H100'")],
)
def test_unknown_names_are_refused_with_the_table(names, message):
    with pytest.raises(InvalidValue, match=message):
        widgets.kv_calculator(**names)
