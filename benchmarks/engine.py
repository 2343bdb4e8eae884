"""How fast one text is written: our engine beside `transformers.generate`, on the same checkpoint, threads and prompt.

Both write greedily from the same ids, in turn, and must write the same tokens before anything is timed. The time of one
token is (a long text − a short one) / (their difference in tokens), so start-up and prefill cancel.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import minillm as ml
from minillm.measure import Measurement, compare_calls
from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record
from minillm.model.checkpoint import resolve_folder
from minillm.serving.compute.plain_decoder import layout_of

PROMPT = "def read_lines(path):\n"
SHORT, LONG = 16, 144


def ours(name: str):
    """(ids, count) -> the token ids that minillm writes."""
    llm = ml.LLM(name)

    def write(ids: list[int], count: int) -> list[int]:
        params = ml.SamplingParams(temperature=0, max_tokens=count, ignore_eos=True)
        return list(llm.generate(ids, params)[0].outputs[0].token_ids)

    return write


def theirs(name: str):
    """(ids, count) -> the token ids that transformers writes."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(resolve_folder(name), dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    def write(ids: list[int], count: int) -> list[int]:
        prompt = torch.tensor([ids])
        with torch.inference_mode():
            out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=count)
        return out[0, len(ids) :].tolist()

    return write


def main() -> None:
    """Print the comparison and, unless told not to, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a first look: two rounds")
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    chosen = parser.parse_args()
    if not chosen.no_record:
        writable_folder(chosen.out)
    torch.set_num_threads(chosen.threads)
    ids = ml.load_tokenizer(chosen.model).encode(PROMPT)
    engines = {"transformers.generate": theirs(chosen.model), "minillm": ours(chosen.model)}
    texts = {name: write(ids, LONG) for name, write in engines.items()}
    if len({tuple(t) for t in texts.values()}) != 1:
        sys.exit("the engines write different tokens; a comparison of their speed would mean nothing")
    calls = {f"{n}, {c} tokens": (lambda w=w, c=c: w(ids, c)) for n, w in engines.items() for c in (SHORT, LONG)}
    timings = compare_calls(calls, min_seconds=0.1, rounds=2 if chosen.quick else chosen.rounds).timings
    print("\n".join(map(str, timings.values())))
    per_token = {
        n: (timings[f"{n}, {LONG} tokens"].p50 - timings[f"{n}, {SHORT} tokens"].p50) / (LONG - SHORT) for n in engines
    }
    ratio = per_token["transformers.generate"] / per_token["minillm"]
    for name, seconds in per_token.items():
        print(f"{name}: {1e3 * seconds:.3f} ms a token, {1 / seconds:.0f} tokens/s")
    print(f"minillm writes {ratio:.2f} times as fast (batch 1, {chosen.threads} threads, float32)")
    if chosen.no_record:
        return
    options = {"threads": chosen.threads, "weights": layout_of(ml.load_model(chosen.model))}
    rows = [_row(name, count, len(ids), timings, options) for name in engines for count in (SHORT, LONG)]
    record = record_run(rows, measure_this_machine("cpu"), f"python benchmarks/engine.py{' --quick' * chosen.quick}")
    path = write_record(record, f"engine{'-quick' * chosen.quick}", chosen.out)
    print(f"recorded in {path.name}")


def _row(name: str, count: int, prompt: int, timings, options) -> Measurement:
    """`count` tokens by one engine; both counts are recorded, for the time of one token is their difference."""
    timing, best = timings[f"{name}, {count} tokens"], timings[f"transformers.generate, {count} tokens"].p50
    return Measurement(
        operator="generate", backend=name, dtype="float32", shape={"B": 1, "L": prompt, "T": count},
        p20=timing.p20, p50=timing.p50, p80=timing.p80, runs=timing.runs,
        best_torch="transformers.generate", ratio_to_torch=best / timing.p50,
        options=options if name == "minillm" else {"threads": options["threads"]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
