"""Checkpoints that are broken in every way a download can be, each refused with one clear error."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import minillm as ml
from minillm.cache import ContiguousCache
from minillm.errors import FileProblem, InvalidType, InvalidValue, Unsupported
from minillm.model import Decoder, ModelConfig, save_model
from minillm.model.initial import initialise

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


@pytest.mark.parametrize(
    "changes", [dict(qkv_bias=True), dict(qk_norm=True), dict(sliding_window=4, sliding_layers=(0,))]
)
def test_what_the_written_configuration_could_not_say_is_not_written(tmp_path, changes):
    with pytest.raises(Unsupported, match="only what Llama's format can say"):
        save_model(Decoder(CONFIG.with_(**changes)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_extra_and_misshapen_are_listed_together(folder):
    def spoil(tensors):
        del tensors["model.layers.0.self_attn.k_proj.weight"]
        tensors["model.layers.1.mlp.down_proj.weight"] = torch.zeros(3, 3)
        tensors["model.layers.1.mlp.up_proj.weight"] = torch.zeros(24, 5)
        tensors["model.layers.7.surprise"] = torch.zeros(1)

    edit(folder, spoil)
    with pytest.raises(InvalidValue) as caught:
        ml.load_model(folder)
    for part in (
        "missing model.layers.0.self_attn.k_proj.weight",
        "misshapen model.layers.1.mlp.down_proj.weight: want (16, 24), got (3, 3)",
        "misshapen model.layers.1.mlp.up_proj.weight: want (24, 16), got (24, 5)",
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


def test_weights_that_a_narrower_dtype_cannot_hold_are_refused(folder):
    edit(folder, lambda t: t["model.norm.weight"].__setitem__(3, 1e5))
    with pytest.raises(InvalidValue, match=r"float16 .*65,504; too large: norm.weight; use dtype='float32'"):
        ml.load_model(folder, dtype="float16")
    assert ml.load_model(folder, dtype="bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(folder, dtype):
    edit(folder, lambda t: t.__setitem__("model.norm.weight", torch.ones(16).to(dtype)))
    with pytest.raises(InvalidValue, match=f"quantised model.norm.weight: {dtype}"):
        ml.load_model(folder)


@pytest.mark.parametrize("device", ["cudaa", [1], "xla"])
def test_devices_that_are_not_there_are_refused(folder, device):
    with pytest.raises(InvalidValue, match=r"device must be one that torch can use here; got .*use device='cpu'"):
        ml.load_model(folder, device=device)


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
        (dict(rope_scaling={"rope_type": "dynamic"}), Unsupported, "'dynamic'"),
        (dict(rope_scaling={"rope_type": "linear"}), InvalidType, "factor must be a number; got None"),
        (dict(rope_scaling={"rope_type": "linear", "factor": 0.5}), InvalidValue, "factor must be at least 1; got 0.5"),
        (dict(rope_scaling={"rope_type": "llama3", "factor": 8, "low_freq_factor": 4.0}), InvalidValue, "above zero"),
        (dict(rope_scaling="linear"), InvalidType, "must be tables; got 'linear'"),
        (dict(rope_theta=-1), InvalidValue, "rope_theta must be finite and above zero; got -1"),
        (dict(rope_theta="big"), InvalidType, "rope_theta must be a number"),
        (dict(rms_norm_eps=None), InvalidType, "rms_norm_eps must be a number"),
        (dict(hidden_size=0), InvalidValue, "hidden_size must be at least 1"),
        (dict(hidden_size="16"), InvalidType, "hidden_size must be a whole number; got '16'"),
        (dict(num_attention_heads=0), InvalidValue, "num_attention_heads must be at least 1"),
        (dict(num_hidden_layers=None), InvalidValue, "missing: num_hidden_layers"),
        (dict(max_position_embeddings=0), InvalidValue, "max_position_embeddings must be at least 1"),
        (dict(model_type="mistral", sliding_window=0), InvalidValue, "sliding_window must be at least 1"),
        (dict(head_dim=5), InvalidValue, "even"),
    ],
)
def test_configurations_that_cannot_be_built(folder, changes, error, text):
    reconfigure(folder, **changes)
    with pytest.raises(error, match=text):
        ml.load_model(folder)


def test_broken_configuration_files(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(FileProblem, match="cannot be read as JSON"):
        ml.load_model(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(InvalidType, match="table of names; got list"):
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
        (torch.zeros(1, 3, dtype=torch.int64, device="meta"), InvalidValue, "model's device, cpu; got meta"),
        (torch.zeros(1, 33, dtype=torch.int64), InvalidValue, "at most 32 positions; got 33"),
    ],
)
def test_bad_token_ids_are_refused(folder, ids, error, text):
    with pytest.raises(error, match=text):
        ml.load_model(folder)(ids)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda m: m.new_cache(batch=3), "2, 1, 2, 4, torch.float32, cpu; got 2, 3, 2, 4"),
        (lambda m: ContiguousCache(1, 1, 8, 2, 4), "got 1, 1, 2, 4"),
        (lambda m: ContiguousCache(2, 1, 8, 1, 4), "got 2, 1, 1, 4"),
        (lambda m: ContiguousCache(2, 1, 8, 2, 4, dtype=torch.bfloat16), "got 2, 1, 2, 4, torch.bfloat16"),
    ],
    ids=["batch", "layers", "heads", "dtype"],
)
def test_a_cache_of_another_model_or_batch_is_refused(folder, make, told):
    model = ml.load_model(folder)
    cache = make(model)
    with pytest.raises(InvalidValue, match=told):
        model(torch.tensor([[1, 2]]), cache)
    assert cache.length == 0


def test_no_room_is_not_all_the_room(folder):
    with pytest.raises(InvalidValue, match="max_length must be at least 1; got 0"):
        ml.load_model(folder).new_cache(1, 0)


def test_generating_leaves_nothing_behind_that_gradients_cannot_use():
    model = Decoder(CONFIG)
    with torch.inference_mode():
        model(torch.tensor([[1, 2]]))
    model(torch.tensor([[1, 2]])).sum().backward()
    assert model.layers[0].attention.qkv_proj.weight.grad is not None


def test_unknown_config_fields_name_the_nearest():
    with pytest.raises(InvalidValue, match=r"did you mean 'num_heads'"):
        CONFIG.with_(num_head=8)


def test_a_hub_is_asked_only_when_the_user_names_one(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or str(folder))
    ml.load_model(folder)
    with pytest.raises(FileProblem):
        ml.load_model("./somebody/model")
    assert asked == []
    ml.load_model("somebody/model")
    assert asked == ["somebody/model"]


def test_a_hub_that_does_not_answer_is_said_in_our_words(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(FileProblem, match=r"could not fetch 'somebody/model' from the hub \(ConnectionError\)"):
        ml.load_model("somebody/model")
