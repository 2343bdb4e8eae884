"""The checkpoints that all engines read: Llama shapes with random weights, as Hugging Face folders.

A random model writes nonsense at the speed of a trained one. Its numbers are drawn so that the texts depend on all of their
context and repeat nothing, or equal tokens would prove little.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as BPE

from minillm.model import Decoder, ModelConfig
from minillm.model.checkpoint import save_model
from minillm.model.tokenizer import END_OF_TEXT, Tokenizer, save_tokenizer

CONFIGS = {
    "24M": ModelConfig(1024, 512, 1408, 8, 8, 2, 64, tie_word_embeddings=False),
    "108M": ModelConfig(32_000, 768, 2336, 12, 12, 4, 64),
}
SHARPER = 2.0  # random queries and keys attend to everything a little; larger ones choose


def checkpoint(name: str, cache: Path) -> Path:
    """The folder of a checkpoint by its size, written if it is not there yet."""
    folder = cache / name
    if not (folder / "tokenizer_config.json").is_file():  # the last file written
        config = CONFIGS[name].with_(eos_token_ids=(CONFIGS[name].vocab_size - 1,))
        save_model(random_decoder(config), folder, dtype=torch.float32)
        save_tokenizer(byte_tokenizer(config.vocab_size), folder, config.max_position_embeddings)
        _name_all_special_tokens(folder / "tokenizer_config.json")
    return folder


@torch.no_grad()
def random_decoder(config: ModelConfig, seed: int = 0) -> Decoder:
    """A Decoder whose matrices keep variances, with small embeddings, so that a token does not mostly predict itself.

    The end token, the last one, scores zero everywhere, which never is the best: some engines cannot be told to ignore it.
    """
    drawn = torch.Generator().manual_seed(seed)
    model = Decoder(config)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.normal_(std=0.02 if "embed" in name else weight.shape[1] ** -0.5, generator=drawn)
        if "embed" in name or "lm_head" in name:
            weight[-1] = 0
        if "qkv" in name:
            weight[: (config.num_heads + config.num_kv_heads) * config.head_dim] *= SHARPER
    return model


def _name_all_special_tokens(path: Path) -> None:
    """Some converters ask for a beginning and an unknown token, although nothing here uses either."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= {"bos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def byte_tokenizer(vocab_size: int) -> Tokenizer:
    """A byte-level BPE of exactly so many tokens: 256 bytes, then merges of two, and the end of text as the last."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [(a, b) for a in letters for b in letters][: vocab_size - len(letters) - 1]
    vocabulary = {token: i for i, token in enumerate([*letters, *(a + b for a, b in merges)])}
    bpe = BPE(models.BPE(vocabulary, merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    return Tokenizer(bpe, END_OF_TEXT)
