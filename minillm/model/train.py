"""Train the bundled models: `python -m minillm.model.train --preset tiny`.

The recipe is small enough to read at one sitting. It reads the standard library's source, learns a byte-level BPE, and
trains a Llama-format decoder on it with Muon for the matrices and AdamW for the rest. Every batch is a function of
(seed, step), so a run that is interrupted and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import InvalidValue, unknown_name
from minillm.model.checkpoint import save_model
from minillm.model.config import ModelConfig
from minillm.model.corpus import Corpus, load_corpus, xz_bits_per_byte
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer, save_tokenizer, train_tokenizer

VOCAB_SIZE = 2048
TINY = ModelConfig(
    vocab_size=VOCAB_SIZE, hidden_size=256, intermediate_size=640, num_layers=4, num_heads=8, num_kv_heads=2, head_dim=32,
    max_position_embeddings=1024, bos_token_id=None, eos_token_ids=(0,),
)  # fmt: skip
DRAFT = TINY.with_(hidden_size=96, intermediate_size=256, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=24)
SIBLING = TINY.with_(hidden_size=128, intermediate_size=384, num_heads=8, num_kv_heads=8, head_dim=16)


@dataclass(frozen=True)
class Recipe:
    """What is trained and for how long. Lengths and batches are in tokens; rates are per step."""

    config: ModelConfig
    tokens: int
    context: int = 512
    batch: int = 16
    matrix_rate: float = 0.02
    other_rate: float = 4e-3
    warmup: float = 0.02  # share of the steps over which rates rise
    cooldown: float = 0.7  # share of the steps over which they fall to nothing
    curve_points: int = 12

    @property
    def steps(self) -> int:
        """How many batches make up `tokens`."""
        return max(1, self.tokens // (self.context * self.batch))

    def rate(self, step: int) -> float:
        """What the rates are multiplied by at `step`: up, level, down in straight lines."""
        done = (step + 1) / self.steps
        return min(1.0, done / self.warmup, max(0.0, 1 - step / self.steps) / self.cooldown)


PRESETS = {
    "tiny": Recipe(TINY, tokens=12_000_000, context=1024, batch=8),
    "tiny-draft": Recipe(DRAFT, tokens=12_000_000),
    "sibling-mha": Recipe(SIBLING, tokens=3_000_000),
    "sibling-gqa": Recipe(SIBLING.with_(num_kv_heads=2), tokens=3_000_000),
    "sibling-mqa": Recipe(SIBLING.with_(num_kv_heads=1), tokens=3_000_000),
}


class Batches:
    """The training tokens in windows: every epoch cuts them at another offset and shuffles them anew."""

    def __init__(self, stream: Tensor, recipe: Recipe, seed: int):
        self.stream, self.recipe, self.seed = stream, recipe, seed
        self.per_epoch = (len(stream) - 1) // recipe.context - 1
        if self.per_epoch < recipe.batch:
            raise InvalidValue(
                f"a batch needs {recipe.batch} windows of {recipe.context} tokens; the text has {self.per_epoch}; use more text."
            )

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Step -> inputs and targets (batch, context), a function of (seed, step) alone."""
        first = step * self.recipe.batch
        rows = [self._window(*divmod(first + i, self.per_epoch)) for i in range(self.recipe.batch)]
        window = torch.stack(rows)
        return window[:, :-1], window[:, 1:]

    def _window(self, epoch: int, index: int) -> Tensor:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        shift = int(torch.randint(self.recipe.context, (1,), generator=random))
        start = shift + int(torch.randperm(self.per_epoch, generator=random)[index]) * self.recipe.context
        return self.stream[start : start + self.recipe.context + 1]


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """All texts as one line of ids, an end token after each."""
    eos = tokenizer.eos_token_id
    return torch.tensor([i for text in texts for i in (*tokenizer.encode(text), eos)], dtype=torch.int64)


def initialise(model: Decoder, seed: int) -> None:
    """Fill the weights: variance-preserving matrices, small embeddings, and nothing yet on the residual path."""
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            continue
        silent = name.endswith(("o_proj.weight", "down_proj.weight"))
        std = 0.0 if silent else 0.02 if "embed" in name else weight.shape[1] ** -0.5
        nn.init.normal_(weight, std=std, generator=random)


@torch.no_grad()
def bits_per_byte(
    model: Decoder, tokenizer: Tokenizer, texts: list[str], *, context: int, stride: int, at_most: int | None = None
) -> float:
    """Held-out loss in bits per byte of text: windows of `context` tokens, `stride` apart, scored on what each adds.

    Every file starts from an end token and is scored whole, its own end token included in the bits but not in the bytes.
    `at_most` bounds the number of files, taken evenly.
    """
    if at_most is not None and len(texts) > at_most:
        texts = [texts[i * len(texts) // at_most] for i in range(at_most)]
    nats = 0.0
    for text in texts:
        stream = torch.tensor([tokenizer.eos_token_id, *tokenizer.encode(text), tokenizer.eos_token_id])
        done = 0
        for start in range(0, len(stream) - 1, stride):
            window = stream[start : start + context + 1]
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(window[None, :-1])[0].float()
            fresh = window[1:][done - start :]
            nats += F.cross_entropy(logits[done - start :], fresh, reduction="sum").item()
            done = start + len(window) - 1
            if done >= len(stream) - 1:
                break
    return nats / math.log(2) / sum(len(t.encode()) for t in texts)


class Trainer:
    """One run: the model, its two optimisers, and where it has got to."""

    def __init__(self, recipe: Recipe, corpus: Corpus, seed: int, *, compiled: bool = False):
        self.recipe, self.seed = recipe, seed
        self.held_out = corpus.texts(held_out=True)
        self.tokenizer = train_tokenizer(corpus.texts(held_out=False), recipe.config.vocab_size)
        self.batches = Batches(token_stream(self.tokenizer, corpus.texts(held_out=False)), recipe, seed)
        self.model = Decoder(recipe.config)
        initialise(self.model, seed)
        self.loss = torch.compile(self._loss) if compiled else self._loss
        matrices = [p for n, p in self.model.named_parameters() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in self.model.named_parameters() if p.dim() < 2 or "embed" in n]
        self.optimisers = [
            torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.01, momentum=0.95),
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
        scale = self.recipe.rate(self.step)
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
            self.curve.append(
                {
                    "tokens": self.step * self.recipe.batch * self.recipe.context,
                    "bits_per_byte": self.evaluate(quick=True),
                }
            )
        return loss.item()

    def evaluate(self, *, quick: bool = False) -> float:
        """Held-out bits per byte: quickly, on a few files without overlap, or on all of them with half of each window shared."""
        length = self.recipe.context
        if quick:
            return bits_per_byte(self.model, self.tokenizer, self.held_out, context=length, stride=length, at_most=6)
        return bits_per_byte(self.model, self.tokenizer, self.held_out, context=length, stride=length // 2)

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
    """Run to the end with a progress line, saving as it goes; an interruption costs at most `save_every` steps."""
    state, recipe = folder / "state.pt", trainer.recipe
    if state.is_file():
        trainer.load_state(state)
        print(f"resuming at step {trainer.step} of {recipe.steps}", flush=True)
    shown = 0.0
    try:
        while trainer.step < recipe.steps:
            loss = trainer.advance()
            if trainer.step % save_every == 0:
                trainer.save_state(state)
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
        trainer.save_state(state)
        sys.exit(f"stopped at step {trainer.step}; the same command goes on from here")


def write_result(trainer: Trainer, corpus: Corpus, folder: Path, command: str) -> dict[str, object]:
    """Write weights, tokenizer, the corpus manifest and `training.json`: what was trained, how, and how well."""
    save_model(trainer.model, folder)
    save_tokenizer(trainer.tokenizer, folder, trainer.recipe.config.max_position_embeddings)
    manifest = corpus.manifest()
    held, yardstick = trainer.evaluate(), xz_bits_per_byte(trainer.held_out)
    result: dict[str, object] = {
        "command": command,
        "recipe": {k: v for k, v in asdict(trainer.recipe).items() if k != "config"}
        | {"steps": trainer.recipe.steps, "seed": trainer.seed},
        "config": asdict(trainer.recipe.config),
        "parameters": trainer.model.num_parameters(),
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
    (folder / "corpus.json").write_text(f'{json.dumps(manifest)[:-1]}, "files": [\n{rows}\n]}}\n', encoding="utf-8")
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
        recipe = Recipe(**{**vars(recipe), "tokens": chosen.tokens})
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    folder = chosen.out or Path("runs") / chosen.preset
    print(
        f"{chosen.preset}: {recipe.steps} steps of {recipe.batch}×{recipe.context} tokens; reading the standard library",
        flush=True,
    )
    corpus = load_corpus()
    trainer = Trainer(recipe, corpus, chosen.seed, compiled=chosen.compile)
    train(trainer, folder)
    words = arguments if arguments is not None else sys.argv[1:]
    result = write_result(trainer, corpus, folder, " ".join(["python -m minillm.model.train", *words]))
    print(
        f"{result['parameters']:,} parameters, {result['held_out_bits_per_byte']} bits/byte held out, {result['ratio_to_xz']} of xz, in {folder}"
    )


if __name__ == "__main__":
    main()
