"""Generation: the model's own greedy choice, streams that join to the whole, stops that leak nothing, errors before work."""

import pytest
import torch

import minillm as ml
from minillm.errors import FileProblem, InvalidType, InvalidValue, Unsupported

GREEDY = ml.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)


def test_greedy_equals_full_recomputation_at_every_step(folder):
    llm = ml.LLM(folder, dtype="float64")
    ids = llm.tokenizer.encode("def read(path):")
    out = llm.generate(ids, GREEDY)[0]
    for token in out.outputs[0].token_ids:
        assert token == llm.model(torch.tensor([ids]))[0, -1].argmax()
        ids = [*ids, token]


def test_prompts_may_be_text_ids_or_lists_of_either(llm):
    ids = llm.tokenizer.encode("class")
    one = llm.generate("class", GREEDY)
    assert len(one) == 1 and one[0].prompt == "class" and one[0].prompt_token_ids == tuple(ids)
    for prompts in (ids, [ids], ["class"], torch.tensor(ids)):
        assert llm.generate(prompts, GREEDY)[0].outputs == one[0].outputs
    mixed = llm.generate(["def", ids], [GREEDY, ml.SamplingParams(temperature=0, max_tokens=3, ignore_eos=True)])
    assert [len(r.outputs[0].token_ids) for r in mixed] == [12, 3]


def test_text_does_not_depend_on_what_else_is_in_the_call(llm):
    params = ml.SamplingParams(temperature=1.3, seed=5, max_tokens=20, ignore_eos=True)
    alone = llm.generate("def read", params)[0].outputs
    others = llm.generate(["x", "def read", "return open(path)"], params)
    assert others[1].outputs == alone
    assert others[0].outputs != alone


def test_seed_decides_and_no_seed_draws_one(llm):
    texts = [
        llm.generate("def", ml.SamplingParams(seed=s, max_tokens=20, ignore_eos=True))[0].outputs[0].token_ids
        for s in (1, 1, 2, None, None)
    ]
    assert texts[0] == texts[1]
    assert len({texts[1], texts[2], texts[3], texts[4]}) == 4


@pytest.mark.parametrize("seed", range(8))
def test_stream_joins_to_generate(llm, seed):
    # Random weights write broken characters too: held-back bytes and flushes are exercised.
    params = ml.SamplingParams(seed=seed, max_tokens=40, ignore_eos=True, temperature=1.5)
    whole = llm.generate("def", params)[0].outputs[0]
    chunks = list(llm.stream("def", params))
    assert "".join(c.text for c in chunks) == whole.text == llm.tokenizer.decode(whole.token_ids)
    assert tuple(t for c in chunks for t in c.token_ids) == whole.token_ids
    assert [c.finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish_reason == whole.finish_reason == "length"


@pytest.mark.parametrize("seed", range(6))
def test_stop_strings_are_cut_and_never_shown_in_part(llm, seed):
    params = ml.SamplingParams(seed=seed, max_tokens=40, ignore_eos=True, temperature=0.8)
    free = llm.generate("def", params)[0].outputs[0].text
    stop = next(free[i : i + 3] for i in range(10, len(free)) if "\ufffd" not in free[i : i + 3])
    stopped = ml.SamplingParams(seed=seed, max_tokens=40, ignore_eos=True, temperature=0.8, stop=[stop, "never there"])
    out = llm.generate("def", stopped)[0].outputs[0]
    assert out.text == free[: free.find(stop)]
    assert out.finish_reason == "stop"
    shown = ""
    for chunk in llm.stream("def", stopped):
        shown += chunk.text
        assert out.text.startswith(shown)
    assert shown == out.text


def test_a_stop_string_that_only_begins_is_shown_in_the_end(llm):
    free = llm.generate("def", GREEDY)[0].outputs[0].text
    params = ml.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, stop=free[-2:] + "¤")
    assert llm.generate("def", params)[0].outputs[0].text == free


def test_the_end_token_ends_the_text_and_is_not_in_it(folder):
    llm = ml.LLM(folder)
    favourite = llm.generate("def", GREEDY)[0].outputs[0].token_ids
    object.__setattr__(llm.model.config, "eos_token_ids", (favourite[3],))
    out = llm.generate("def", ml.SamplingParams(temperature=0, max_tokens=12))[0].outputs[0]
    cut = favourite.index(favourite[3])
    assert out.token_ids == favourite[: cut + 1] and out.finish_reason == "stop"
    assert out.text == llm.tokenizer.decode(favourite[:cut])
    assert llm.generate("def", GREEDY)[0].outputs[0].token_ids == favourite


def test_the_last_position_can_be_used_and_not_one_more(llm):
    ids = [5] * 60
    assert len(llm.generate(ids, ml.SamplingParams(max_tokens=5, seed=0, ignore_eos=True))[0].outputs[0].token_ids) == 5
    with pytest.raises(InvalidValue, match=r"64 positions; got 60 \+ 6; shorten the prompt or use max_tokens=5"):
        llm.generate(ids, ml.SamplingParams(max_tokens=6))


@pytest.mark.parametrize(
    ("prompts", "params", "error", "text"),
    [
        ("", None, InvalidValue, "at least one token; got an empty one"),
        ([], None, InvalidValue, "at least one prompt"),
        ([""], None, InvalidValue, "at least one token"),
        ([[]], None, InvalidValue, "at least one token"),
        ([1, 999], None, InvalidValue, "got 999"),
        ([-1], None, InvalidValue, "got -1"),
        ([1.5], None, InvalidType, "got float"),
        ([["a"]], None, InvalidType, "token ids are whole numbers"),
        (7, None, InvalidType, "got int"),
        (b"def", None, InvalidType, "got bytes"),
        (bytearray(b"def"), None, InvalidType, "got bytearray"),
        ([bytearray(b"def")], None, InvalidType, "got bytearray"),
        ("def", "hot", InvalidType, "params must be SamplingParams"),
        ("def", dict(temperature=1), InvalidType, "got dict"),
        (["a", "b"], [GREEDY], InvalidValue, "1 for 2 prompts"),
        ("x" * 200, None, InvalidValue, r"64 positions; got 2\d\d \+ 16; shorten the prompt to at most 64 tokens\.$"),
        ("a\udcff", None, InvalidValue, "valid Unicode"),
    ],
)
def test_bad_calls_are_refused_before_any_work(llm, monkeypatch, prompts, params, error, text):
    monkeypatch.setattr(llm.engine, "step", lambda: pytest.fail("work was done"))
    with pytest.raises(error, match=text):
        llm.generate(prompts, params)


def test_one_bad_prompt_stops_the_call_before_the_good_one_runs(llm, monkeypatch):
    monkeypatch.setattr(llm.engine, "step", lambda: pytest.fail("work was done"))
    with pytest.raises(InvalidValue):
        llm.generate(["def", ""], GREEDY)


def test_stream_refuses_at_the_call_not_at_the_first_chunk(llm):
    with pytest.raises(InvalidValue):
        llm.stream("", GREEDY)


def test_unknown_models_and_dtypes(folder):
    with pytest.raises(FileProblem, match="bundled: "):
        ml.LLM("tinny")
    with pytest.raises(InvalidValue, match="got 'int8'"):
        ml.LLM(folder, dtype="int8")


def test_a_model_may_be_a_decoder_with_or_without_a_tokenizer(folder):
    model = ml.load_model(folder)
    named, given = ml.LLM(folder), ml.LLM(model, folder)
    assert given.generate("def", GREEDY)[0].outputs == named.generate("def", GREEDY)[0].outputs
    bare = ml.LLM(model)
    ids = named.tokenizer.encode("def")
    assert bare.generate(ids, GREEDY)[0].outputs[0].token_ids == named.generate("def", GREEDY)[0].outputs[0].token_ids
    assert bare.generate(ids, GREEDY)[0].outputs[0].text == ""
    with pytest.raises(InvalidType, match="text needs a tokenizer"):
        bare.generate("def", GREEDY)
    with pytest.raises(InvalidValue, match="stop strings need a tokenizer"):
        bare.generate(ids, ml.SamplingParams(stop="x"))
    with pytest.raises(InvalidValue, match="dtype and device are for a model that is loaded by name"):
        ml.LLM(model, dtype="float64")
    with pytest.raises(InvalidType, match="tokenizer must be a Tokenizer or a name"):
        ml.LLM(model, 7)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (dict(polcy="budget"), InvalidType, r"no option 'polcy' \(did you mean 'policy'\?\); known: block_size, "),
        (dict(policy="newest"), InvalidValue, "unknown policy 'newest'"),
        (dict(speculative="magic"), InvalidValue, "unknown proposer 'magic'"),
        (dict(block_size=0), InvalidValue, "block_size must be at least 1; got 0"),
        (dict(num_blocks=0), InvalidValue, "num_blocks must be at least 1; got 0"),
        (dict(num_blocks=1.5), InvalidType, "num_blocks must be a whole number"),
        (dict(num_blocks=10**12), InvalidValue, "must each fit the memory"),
        (dict(max_num_seqs=0), InvalidValue, "max_num_seqs must be at least 1"),
        (dict(max_num_batched_tokens="many"), InvalidType, "max_num_batched_tokens must be a whole number"),
        (dict(max_model_len=65), InvalidValue, "at most the model's 64 positions; got 65"),
        (dict(max_model_len=0), InvalidValue, "max_model_len must be at least 1"),
        (dict(enable_prefix_caching="yes"), InvalidType, "enable_prefix_caching must be True or False"),
        (dict(chat_template=7), InvalidType, "chat_template must be Jinja source"),
        (dict(chat_template="{% if %}"), InvalidValue, "a chat template must be Jinja"),
    ],
)
def test_options_outside_their_rule_are_refused(folder, options, error, text):
    with pytest.raises(error, match=text):
        ml.LLM(folder, **options)


def test_the_cache_is_as_large_as_the_texts_that_may_run_or_a_gibibyte(folder):
    llm = ml.LLM(folder, max_num_seqs=3)
    assert llm.engine.cache.pool.num_blocks == 3 * 64 / 16
    assert ml.LLM(folder, max_num_seqs=3, max_model_len=20, block_size=8).engine.cache.pool.num_blocks == 3 * 3
    large = ml.LLM(folder, max_num_seqs=10**9, max_num_batched_tokens=10**9, block_size=64).engine.cache
    assert large.nbytes == 2**30


def test_one_text_of_full_length_always_fits_the_cache(folder, monkeypatch):
    monkeypatch.setattr("minillm.serving.asking.engine_options.MOST_CACHE", 1)
    assert ml.LLM(folder).engine.cache.pool.num_blocks == 64 / 16


def test_bundled_models_have_no_chat_template_and_say_so(folder):
    with pytest.raises(Unsupported, match="which has none; use generate with text, or a checkpoint made for chat"):
        ml.LLM("tiny").chat([dict(role="user", content="Hello")])
