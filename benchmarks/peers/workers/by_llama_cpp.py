"""llama.cpp through its Python binding, driven by token ids: one text after another, all of its numbers float32.

The checkpoint is rewritten as GGUF here. llama.cpp turns neighbouring numbers of a head together where Hugging Face turns
the first half with the second, so the rows of the query and key matrices change places.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from protocol import serve
from safetensors.numpy import load_file

LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def load(folder, threads, dtype, options):
    path = Path(f"{folder}.gguf")
    if not path.is_file():
        convert(Path(folder), path)
    llm = llama_cpp.Llama(
        str(path),
        n_ctx=512,
        n_batch=512,
        n_threads=threads,
        n_threads_batch=threads,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        use_mmap=False,
        verbose=False,
        **options,
    )
    return {"one by one": lambda requests: [_one(llm, ids, count) for ids, count in requests]}


def _one(llm, ids, count):
    llm.reset()
    tokens = []
    for token in llm.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0, reset=True):
        tokens.append(token)
        if len(tokens) == count:
            return tokens
    return tokens


def convert(folder: Path, path: Path) -> None:
    """A Hugging Face Llama folder -> a GGUF file of the same float32 numbers."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, config)
    _name_tokens(writer, json.loads((folder / "tokenizer.json").read_text()), config)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in load_file(folder / "model.safetensors").items():
        stem, _, kind = name.rpartition(".")
        turned = heads.get(stem.rpartition(".")[2])
        tensor = _neighbours(tensor, turned) if turned else tensor
        writer.add_tensor(f"{_renamed(stem)}.{kind}", np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _renamed(stem: str) -> str:
    if stem in ENDS:
        return ENDS[stem]
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{LAYER[part]}"


def _neighbours(weight: np.ndarray, heads: int) -> np.ndarray:
    """(H D, C) with pairs (i, i + D/2) -> the same rows with each pair side by side."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _describe(writer: gguf.GGUFWriter, config: dict) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _name_tokens(writer: gguf.GGUFWriter, tokenizer: dict, config: dict) -> None:
    """The tokenizer has to be there, although only ids are passed."""
    ids = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    last = config["vocab_size"] - 1
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if i == last else gguf.TokenType.NORMAL for i in range(last + 1)])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(last)
    writer.add_eos_token_id(last)


if __name__ == "__main__":
    serve(load, ["llama-cpp-python", "gguf"])
