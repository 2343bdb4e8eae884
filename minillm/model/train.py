"""Train the bundled models: `python -m minillm.model.train --preset tiny`.

The recipe is small enough to read at one sitting. It reads the standard library's source, learns a byte-level BPE, and
trains a Llama-format decoder on it with Muon for the matrices and AdamW for the rest. Every batch is a function of
(seed, step), so a run that is interrupted and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import InvalidValue, unknown_name
from minillm.model.batches import Batches, token_stream
from minillm.model.checkpoint import save_model
from minillm.model.corpus import Corpus, load_corpus, unread_texts, xz_bits_per_byte
from minillm.model.decoder import Decoder
from minillm.model.evaluate import best_logit_scale, bits_per_byte
from minillm.model.initial import initialise, wire_copying
from minillm.model.practice import pieces_of_names
from minillm.model.recipe import PRESETS, Recipe
from minillm.model.tokenizer import save_tokenizer, train_tokenizer


class Trainer:
    """One run: the model, its two optimisers, and where it has got to."""

    def __init__(self, recipe: Recipe, corpus: Corpus, seed: int, *, compiled: bool = False):
        self.recipe, self.seed = recipe, seed
        self.held_out = corpus.texts(held_out=True)
        self.tokenizer = train_tokenizer(corpus.texts(held_out=False), recipe.config.vocab_size)
        stream = token_stream(self.tokenizer, corpus.texts(held_out=False))
        self.batches = Batches(stream, recipe, seed, pieces_of_names(self.tokenizer, stream))
        self.model = Decoder(recipe.config)
        initialise(self.model, seed)
        if recipe.drills:
            wire_copying(self.model, seed)
        self.loss = torch.compile(self._loss, dynamic=False) if compiled else self._loss
        matrices = [p for n, p in self.model.named_parameters() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in self.model.named_parameters() if p.dim() < 2 or "embed" in n]
        self.optimisers = [
            torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=recipe.weight_decay, momentum=0.95),
            torch.optim.AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.step, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        logits = self.model.logits(self.model.hidden_states(inputs))
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def advance(self) -> float:
        """One step; returns its loss in nats per token."""
        started = time.perf_counter()
        scale = self.recipe.rate_at(self.step)
        for optimiser, rate in zip(self.optimisers, (self.recipe.matrix_rate, self.recipe.other_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(*self.batches[self.step])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.seconds += time.perf_counter() - started
        if self.step % max(1, self.recipe.steps // self.recipe.curve_points) == 0:
            tokens = self.step * self.recipe.batch_tokens
            self.curve.append({"tokens": tokens, "bits_per_byte": self.evaluate(self.recipe.context, every=4)})
        return loss.item()

    def evaluate(self, context: int, *, every: int = 1) -> float:
        """Held-out bits per byte in windows of `context` tokens, half of each shared, on one file in `every`."""
        texts = self.held_out[::every]
        return bits_per_byte(self.model, self.tokenizer, texts, context=context, stride=context // 2)

    @torch.no_grad()
    def finish(self) -> float:
        """Set the trained model's confidence, if the recipe says so, and return what the logits were multiplied by.

        The scale goes into the last norm's weight, so the model's form does not change.
        """
        texts = unread_texts() if self.recipe.calibrate else []
        if not texts:
            return 1.0
        scale = best_logit_scale(self.model, self.tokenizer, texts, context=self.recipe.long_context)
        self.model.norm.weight.mul_(scale)
        return scale

    def save_state(self, path: Path) -> None:
        """Write everything a resumed run needs, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "recipe": repr(self.recipe), "seed": self.seed, "step": self.step, "curve": self.curve, "seconds": self.seconds,
            "model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers],
        }  # fmt: skip
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def load_state(self, path: Path) -> None:
        """Go on where `save_state` stopped. Raises InvalidValue when that was another recipe or seed."""
        state = torch.load(path, weights_only=True)
        if (state["recipe"], state["seed"]) != (repr(self.recipe), self.seed):
            raise InvalidValue(
                f"{path} is of another recipe or seed; train with --out elsewhere, or delete it to start again."
            )
        self.step, self.curve, self.seconds = state["step"], state["curve"], state["seconds"]
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def train(trainer: Trainer, folder: Path, *, save_every: int = 50) -> None:
    """Run to the end with a progress line, saving every `save_every` steps: the most that an interruption costs."""
    state, recipe = folder / "state.pt", trainer.recipe
    if state.is_file():
        trainer.load_state(state)
        print(f"resuming at step {trainer.step} of {recipe.steps}", flush=True)
    shown, saved = 0.0, trainer.step
    try:
        while trainer.step < recipe.steps:
            loss = trainer.advance()
            if trainer.step % save_every == 0:
                trainer.save_state(state)
                saved = trainer.step
            if time.monotonic() - shown > 5 or trainer.step == recipe.steps:
                shown = time.monotonic()
                each = trainer.seconds / trainer.step
                held = f"{trainer.curve[-1]['bits_per_byte']:.3f}" if trainer.curve else "–"
                left = each * (recipe.steps - trainer.step)
                print(
                    f"step {trainer.step}/{recipe.steps}  loss {loss:.3f}  held-out {held} bits/byte  {left / 60:.0f} min left",
                    flush=True,
                )
    except KeyboardInterrupt:
        # Not saved here: the key may have been pressed between the two optimisers, and half a step is no state to go on from.
        sys.exit(f"stopped at step {trainer.step}; the same command goes on from step {saved}")


def write_result(trainer: Trainer, corpus: Corpus, folder: Path, command: str) -> dict[str, object]:
    """Write weights, tokenizer and `training.json` (what was trained, how, how well), and the corpus manifest beside `folder`."""
    scale = trainer.finish()
    save_model(trainer.model, folder)
    save_tokenizer(trainer.tokenizer, folder, trainer.recipe.config.max_position_embeddings)
    manifest = corpus.manifest()
    held, yardstick = trainer.evaluate(trainer.recipe.long_context), xz_bits_per_byte(trainer.held_out)
    result: dict[str, object] = {
        "command": command,
        "recipe": {k: v for k, v in asdict(trainer.recipe).items() if k != "config"}
        | {"steps": trainer.recipe.steps, "seed": trainer.seed},
        "config": asdict(trainer.recipe.config),
        "parameters": trainer.model.num_parameters(),
        "logit_scale": scale,
        "held_out_bits_per_byte": round(held, 4),
        "xz_bits_per_byte": round(yardstick, 4),
        "ratio_to_xz": round(held / yardstick, 4),
        "curve": [{"tokens": p["tokens"], "bits_per_byte": round(p["bits_per_byte"], 4)} for p in trainer.curve],
        "seconds": round(trainer.seconds),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "tokenizers": tokenizers.__version__,
        },
        "corpus": {k: v for k, v in manifest.items() if k != "files"},
    }
    (folder / "training.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    rows = ",\n".join(json.dumps(row) for row in manifest.pop("files"))  # type: ignore[attr-defined]
    manifest_text = f'{json.dumps(manifest)[:-1]}, "files": [\n{rows}\n]}}\n'
    (folder.parent / "corpus.json").write_text(manifest_text, encoding="utf-8")
    return result


def main(arguments: list[str] | None = None) -> None:
    """The command line; see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m minillm.model.train", description="Train a bundled model on the standard library's source."
    )
    parser.add_argument("--preset", default="tiny", help=f"one of {', '.join(PRESETS)}")
    parser.add_argument("--out", type=Path, help="where to write (default runs/<preset>)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, help="train on fewer or more tokens than the preset")
    parser.add_argument(
        "--compile", action="store_true", help="fuse operations with torch.compile: faster, needs a C++ compiler"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    chosen = parser.parse_args(arguments)
    if chosen.preset not in PRESETS:
        raise unknown_name("preset", chosen.preset, PRESETS)
    recipe = PRESETS[chosen.preset]
    if chosen.tokens:
        recipe = replace(recipe, tokens=chosen.tokens)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    folder = chosen.out or Path("runs") / chosen.preset
    print(
        f"{chosen.preset}: {recipe.steps} steps of {recipe.batch_tokens} tokens; reading the standard library",
        flush=True,
    )
    corpus = load_corpus()
    trainer = Trainer(recipe, corpus, chosen.seed, compiled=chosen.compile)
    train(trainer, folder)
    words = arguments if arguments is not None else sys.argv[1:]
    result = write_result(trainer, corpus, folder, " ".join(["python -m minillm.model.train", *words]))
    (folder / "state.pt").unlink(missing_ok=True)
    print(
        f"{result['parameters']:,} parameters, {result['held_out_bits_per_byte']} bits/byte held out, {result['ratio_to_xz']} of xz, in {folder}"
    )


if __name__ == "__main__":
    main()
