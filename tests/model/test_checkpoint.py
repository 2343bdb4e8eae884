"""Checkpoints that are broken in every way a download can be, each refused with one clear error."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import minillm as ml
from minillm.errors import FileProblem, InvalidType, InvalidValue, Unsupported
from minillm.model import Decoder, ModelConfig, save_model
from minillm.model.train import initialise

CONFIG = ModelConfig(50, 16, 24, 2, 4, 2, 4, max_position_embeddings=32)


@pytest.fixture
def folder(tmp_path):
    model = Decoder(CONFIG)
    initialise(model, seed=1)
    save_model(model, tmp_path, dtype=torch.float32)
    return tmp_path


def edit(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def reconfigure(folder, **changes):
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | changes))


def test_round_trip(folder):
    model = ml.load_model(folder)
    again = folder / "again"
    save_model(model, again, dtype=torch.float32)
    assert load_file(again / "model.safetensors").keys() == load_file(folder / "model.safetensors").keys()
    ids = torch.arange(9)[None]
    assert torch.equal(ml.load_model(again)(ids), model(ids))
    assert not any(p.requires_grad for p in model.parameters()) and not model.training


def test_missing_extra_and_misshapen_are_listed_together(folder):
    def spoil(tensors):
        del tensors["model.layers.0.self_attn.k_proj.weight"]
        tensors["model.layers.1.mlp.down_proj.weight"] = torch.zeros(3, 3)
        tensors["model.layers.7.surprise"] = torch.zeros(1)

    edit(folder, spoil)
    with pytest.raises(InvalidValue) as caught:
        ml.load_model(folder)
    for part in (
        "missing model.layers.0.self_attn.k_proj.weight",
        "misshapen model.layers.1.mlp.down_proj.weight: want (16, 24), got (3, 3)",
        "extra model.layers.7.surprise",
    ):
        assert part in str(caught.value)


def test_right_total_but_wrong_split_between_q_k_and_v_is_seen(folder):
    def spoil(tensors):
        tensors["model.layers.0.self_attn.q_proj.weight"] = torch.zeros(8, 16)
        tensors["model.layers.0.self_attn.k_proj.weight"] = torch.zeros(16, 16)

    edit(folder, spoil)
    with pytest.raises(InvalidValue, match=r"q_proj.weight: want \(16, 16\), got \(8, 16\)"):
        ml.load_model(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, number):
    edit(folder, lambda t: t["model.norm.weight"].__setitem__(3, number))
    with pytest.raises(InvalidValue, match=r"not finite model.norm.weight: 1 of 16"):
        ml.load_model(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_truncated_files_are_refused(folder, keep):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(FileProblem, match="truncated"):
        ml.load_model(folder)


def test_pickles_are_refused_with_the_reason(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Unsupported, match=r"pytorch_model.bin are pickles, which run code"):
        ml.load_model(folder)


def test_tied_checkpoints_may_carry_their_head(folder):
    edit(folder, lambda t: t.__setitem__("lm_head.weight", t["model.embed_tokens.weight"].clone()))
    ml.load_model(folder)
    reconfigure(folder, tie_word_embeddings=False)
    assert ml.load_model(folder).lm_head is not None


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        (dict(model_type="gpt2"), Unsupported, "model_type must be one of llama, mistral, qwen2, qwen3; got 'gpt2'"),
        (dict(hidden_act="gelu"), Unsupported, "hidden_act"),
        (dict(num_key_value_heads=3), InvalidValue, "got 4 and 3; nearest valid num_kv_heads: 2 or 4"),
        (dict(rope_scaling={"rope_type": "yarn", "factor": 4.0}), Unsupported, "'yarn'"),
        (dict(hidden_size=0), InvalidValue, "hidden_size must be at least 1"),
        (dict(head_dim=5), InvalidValue, "even"),
    ],
)
def test_configurations_that_cannot_be_built(folder, changes, error, text):
    reconfigure(folder, **changes)
    with pytest.raises(error, match=text):
        ml.load_model(folder)


def test_broken_configuration_files(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(FileProblem, match="not JSON"):
        ml.load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileProblem, match=r"no config.json"):
        ml.load_model(folder)


def test_a_shard_that_is_not_there(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "../x"}
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FileProblem, match=r"not there: ../x, model-00002-of-00002.safetensors"):
        ml.load_model(folder)


@pytest.mark.parametrize("name", [None, 3, ""])
def test_names_that_are_no_names(name):
    with pytest.raises(InvalidType):
        ml.load_model(name)


@pytest.mark.parametrize(
    ("ids", "error", "text"),
    [
        ([[1, 2]], InvalidType, "int64 tensor"),
        (torch.zeros(1, 3), InvalidType, "int64 tensor"),
        (torch.zeros(3, dtype=torch.int64), InvalidType, "int64 tensor"),
        (torch.zeros(1, 0, dtype=torch.int64), InvalidValue, "at least one"),
        (torch.tensor([[1, 50]]), InvalidValue, "got 50"),
        (torch.tensor([[-1]]), InvalidValue, "got -1"),
        (torch.zeros(1, 33, dtype=torch.int64), InvalidValue, "at most 32 positions; got 33"),
    ],
)
def test_bad_token_ids_are_refused(folder, ids, error, text):
    with pytest.raises(error, match=text):
        ml.load_model(folder)(ids)


def test_unknown_config_fields_name_the_nearest():
    with pytest.raises(InvalidValue, match=r"did you mean 'num_heads'"):
        CONFIG.with_(num_head=8)
