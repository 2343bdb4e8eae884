"""The bundled models are what their papers say: small, trained, readable by transformers, and with held-out text held out."""

import ast
import json

import pytest
import torch
import torch.nn.functional as F
import transformers

import minillm as ml
from minillm.model import sibling_results
from minillm.model.checkpoint import BUNDLED
from minillm.model.corpus import is_held_out, load_corpus, xz_bits_per_byte
from minillm.model.evaluate import bits_per_byte

NAMES = ["tiny", "tiny-draft"]


def paper(name):
    return json.loads((BUNDLED / name / "training.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_transformers_loads_it_and_writes_the_same_tokens(name):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(BUNDLED / name, dtype=torch.float32).eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(BUNDLED / name)
    llm = ml.LLM(name)
    for prompt in ("def read_lines(path):", "class Stack:\n    def push(self, item):\n", "import os\n\n\nfor"):
        ids = their_tokenizer(prompt)["input_ids"]
        assert ids == llm.tokenizer.encode(prompt)
        out = theirs.generate(
            torch.tensor([ids]), max_new_tokens=48, do_sample=False, eos_token_id=0, pad_token_id=0,
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        )  # fmt: skip
        ours = llm.generate(prompt, ml.SamplingParams(temperature=0, max_tokens=48))[0].outputs[0]
        assert out[0, len(ids) :].tolist() == list(ours.token_ids)
        assert their_tokenizer.decode(ours.token_ids, skip_special_tokens=True) == ours.text


def test_both_together_stay_under_eight_megabytes():
    files = [path for name in NAMES for path in (BUNDLED / name).iterdir()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    assert {path.suffix for path in files} <= {".json", ".safetensors"}


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_states_where_the_weights_came_from(name):
    stated = paper(name)
    assert stated["command"].startswith(f"python -m minillm.model.train --preset {name} ")
    assert stated["parameters"] == ml.load_model(name).num_parameters()
    assert set(stated["versions"]) >= {"python", "torch", "tokenizers"}
    manifest = json.loads((BUNDLED / "corpus.json").read_text())
    assert manifest["sha256"] == stated["corpus"]["sha256"]
    assert all(f["held_out"] == is_held_out(f["path"].split("/")[0].removesuffix(".py")) for f in manifest["files"])


def test_tiny_needs_less_than_0_65_of_what_xz_needs():
    stated = paper("tiny")
    assert stated["held_out_bits_per_byte"] < 0.65 * stated["xz_bits_per_byte"]


def test_the_stated_quality_is_real():
    # On whatever library this Python has: the smaller held-out files, so that it takes seconds.
    texts = [f.text for f in load_corpus().files if f.held_out and 5_000 < len(f.text) < 32_000][:6]
    got = bits_per_byte(ml.load_model("tiny"), ml.load_tokenizer("tiny"), texts, context=1024, stride=1024)
    assert got < 0.65 * xz_bits_per_byte(texts)


def test_tiny_copies_what_it_has_just_read():
    # Held-out code twice over: the second reading must be far cheaper.
    llm = ml.LLM("tiny")
    texts = [f.text for f in load_corpus().files if f.held_out and len(f.text) > 10_000][:8]
    ids = torch.stack([torch.tensor(llm.tokenizer.encode(text)[600:856]) for text in texts]).repeat(1, 2)
    with torch.no_grad():
        nats = F.cross_entropy(llm.model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
    assert nats[:, 257:].mean() < 0.5 * nats[:, :255].mean()


def test_a_prompt_continues_into_python_that_parses():
    prompt, llm = "def read_lines(path):", ml.LLM("tiny")
    lengths = []
    for seed in range(16):
        # Long enough for most docstrings to end: one that is still open parses from no line on.
        params = ml.SamplingParams(temperature=0.6, seed=seed, max_tokens=160)
        lines = (prompt + llm.generate(prompt, params)[0].outputs[0].text).splitlines()
        # A text stops in the middle of a statement: take the most lines from the top that are whole Python.
        lengths.append(max((n for n in range(2, len(lines) + 1) if _parses("\n".join(lines[:n]))), default=0))
    assert sorted(lengths)[8] >= 4, lengths


def _parses(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def test_siblings_differ_in_nothing_but_their_kv_heads():
    rows = sibling_results()
    assert {row["kind"] for row in rows} == {"MHA", "GQA", "MQA"}
    seeds = {kind: sorted(r["seed"] for r in rows if r["kind"] == kind) for kind in ("MHA", "GQA", "MQA")}
    assert seeds["MHA"] == seeds["GQA"] == seeds["MQA"] and len(seeds["MHA"]) >= 2
    assert len({(r["num_layers"], r["num_heads"], r["head_dim"], r["corpus_sha256"]) for r in rows}) == 1
    assert len({tuple(p["tokens"] for p in r["curve"]) for r in rows}) == 1
    for row in rows:
        assert row["curve"][0]["bits_per_byte"] > row["curve"][-1]["bits_per_byte"]
