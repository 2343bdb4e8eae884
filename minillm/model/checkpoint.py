"""Weights on disk: read and write Hugging Face folders, `config.json` beside `model.safetensors`, single or sharded.

Only safetensors are read. A pickled checkpoint runs whatever code its author put in it the moment it is opened, so those are
refused. Every tensor is held to the configuration before any is used, and one error lists all that do not fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minillm.attention.validate import FLOATS
from minillm.errors import FileProblem, InvalidType, InvalidValue, Unsupported
from minillm.model.config import ModelConfig
from minillm.model.decoder import Decoder

BUNDLED = Path(__file__).parent / "bundled"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
# Ours on the left; on the right the Hugging Face tensors that are stacked, in order, to make it.
LAYER_TENSORS = {
    "input_norm.{p}": ("input_layernorm.{p}",),
    "post_norm.{p}": ("post_attention_layernorm.{p}",),
    "attention.qkv_proj.{p}": ("self_attn.q_proj.{p}", "self_attn.k_proj.{p}", "self_attn.v_proj.{p}"),
    "attention.o_proj.{p}": ("self_attn.o_proj.{p}",),
    "attention.q_norm.{p}": ("self_attn.q_norm.{p}",),
    "attention.k_norm.{p}": ("self_attn.k_norm.{p}",),
    "mlp.gate_up_proj.{p}": ("mlp.gate_proj.{p}", "mlp.up_proj.{p}"),
    "mlp.down_proj.{p}": ("mlp.down_proj.{p}",),
}
# Written by old exporters, computed by us.
IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)


def load_model(
    name: str | Path, *, dtype: torch.dtype | str | None = None, device: torch.device | str | None = None
) -> Decoder:
    """Load a Decoder by bundled name ("tiny", "tiny-draft"), folder, or hub id ("Qwen/Qwen3-0.6B", fetched only then).

    dtype is a torch dtype or its name; default float32 on a CPU, the checkpoint's own elsewhere. Raises FileProblem,
    InvalidValue or Unsupported, saying what is missing, misshapen, truncated, pickled, quantised or not finite.
    """
    folder = resolve_folder(name)
    target = as_device(device)
    config = ModelConfig.from_file(folder / "config.json")
    wanted = as_dtype(dtype) if dtype is not None else torch.float32 if target.type == "cpu" else as_dtype(config.dtype)
    with torch.device("meta"):
        model = Decoder(config)
    state = _assemble(model, folder)
    state = {name: tensor.to(target, wanted) for name, tensor in state.items()}
    too_large = [name for name, tensor in state.items() if wanted == torch.float16 and not tensor.isfinite().all()]
    if too_large:
        raise InvalidValue(f"float16 ends at 65,504; too large: {', '.join(too_large)}; use dtype='float32'.")
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()


def save_model(model: Decoder, folder: str | Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write `config.json` and `model.safetensors` in Llama format, so that transformers loads them too.

    Raises Unsupported, before anything is written, for a model that this format cannot describe.
    """
    config = model.config.with_(dtype=str(dtype).removeprefix("torch."))
    text = json.dumps(config.to_hf(), indent=2) + "\n"
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(text, encoding="utf-8")
    state = model.state_dict()
    tensors: dict[str, Tensor] = {}
    for ours, theirs in tensor_names(model).items():
        parts = state[ours].split(_row_counts(theirs, config), dim=0) if len(theirs) > 1 else (state[ours],)
        tensors |= {n: t.detach().to(dtype).contiguous() for n, t in zip(theirs, parts, strict=True)}
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    # The library writes it for its owner alone; an installed package is shared.
    (path / "model.safetensors").chmod(0o644)


def resolve_folder(name: str | Path) -> Path:
    """The folder a name stands for: bundled, on disk, or fetched from a hub when it reads "owner/name"."""
    if not isinstance(name, str | Path) or not str(name):
        raise InvalidType(f"a model is named by a string or a path; got {name!r}; try 'tiny'.")
    bundled = bundled_names()
    if str(name) in bundled:
        return BUNDLED / str(name)
    path = Path(name)
    if path.is_dir():
        return path
    if isinstance(name, str) and name.count("/") == 1 and not name.startswith((".", "/", "~")) and "\\" not in name:
        return _download(name)
    raise FileProblem(
        f"no model {str(name)!r}; bundled: {', '.join(bundled)}; otherwise name a checkpoint folder or a hub id 'owner/name'."
    )


def bundled_names() -> list[str]:
    """The models that come with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob("*/config.json"))


def as_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """A torch dtype from itself or its name; raises InvalidValue unless it is a floating-point type."""
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or found not in FLOATS:
        raise InvalidValue(f"dtype must be float64, float32, bfloat16 or float16; got {dtype!r}.")
    return found


def as_device(device: torch.device | str | None) -> torch.device:
    """A torch device from itself or its name, the CPU for None; raises InvalidValue for one that does not answer here."""
    try:
        found = torch.device("cpu" if device is None else device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = str(error).partition("\n")[0]
        raise InvalidValue(
            f"device must be one that torch can use here; got {device!r} ({why:.90}); use device='cpu'."
        ) from None
    return found


def tensor_names(model: Decoder) -> dict[str, tuple[str, ...]]:
    """Each of the model's tensors with the Hugging Face tensors that make it."""
    names: dict[str, tuple[str, ...]] = {}
    for ours in model.state_dict():
        if not ours.startswith("layers."):
            names[ours] = (ours if ours.startswith("lm_head") else f"model.{ours}",)
            continue
        _, layer, rest = ours.split(".", 2)
        stem, kind = rest.rsplit(".", 1)
        theirs = LAYER_TENSORS[f"{stem}.{{p}}"]
        names[ours] = tuple(f"model.layers.{layer}.{t.format(p=kind)}" for t in theirs)
    return names


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise Unsupported(
            f"fetching {name!r} needs huggingface-hub; run: pip install huggingface-hub, or name a local folder."
        ) from None
    try:
        # Some repositories hold their weights twice, once more in the authors' own format.
        wanted, twice = ["*.json", "*.safetensors", "*.jinja"], ["consolidated*"]
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=twice))
    except Exception as error:
        raise FileProblem(
            f"could not fetch {name!r} from the hub ({type(error).__name__}); check the name and the network, or name a folder."
        ) from error


def _row_counts(theirs: tuple[str, ...], config: ModelConfig) -> list[int]:
    if "q_proj" in theirs[0]:
        return [config.num_heads * config.head_dim] + 2 * [config.num_kv_heads * config.head_dim]
    return 2 * [config.intermediate_size]


def _assemble(model: Decoder, folder: Path) -> dict[str, Tensor]:
    """Read every tensor the model needs; raise one InvalidValue listing all that are missing, extra, misshapen or not finite."""
    stored = _read_tensors(folder)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state: dict[str, Tensor] = {}
    faults: list[str] = []
    for ours, theirs in tensor_names(model).items():
        absent = [n for n in theirs if n not in stored]
        if absent:
            faults += [f"missing {n}" for n in absent]
            continue
        rows = _row_counts(theirs, model.config) if len(theirs) > 1 else [shapes[ours][0]]
        if misfits := list(_misfits(theirs, rows, shapes[ours], stored)):
            faults += misfits
            continue
        state[ours] = torch.cat([stored[n] for n in theirs]) if len(theirs) > 1 else stored[theirs[0]]
    used = {n for theirs in tensor_names(model).values() for n in theirs}
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    faults += [f"extra {n}" for n in sorted(set(stored) - used - tied) if not n.endswith(IGNORED_SUFFIXES)]
    if faults:
        raise InvalidValue(
            f"the weights in {folder.name} do not fit config.json: {'; '.join(faults)}; download the checkpoint again."
        )
    return state


def _misfits(names: tuple[str, ...], rows: list[int], shape: torch.Size, stored: dict[str, Tensor]) -> Iterable[str]:
    for name, count in zip(names, rows, strict=True):
        tensor, want = stored[name], (count, *shape[1:])
        if tuple(tensor.shape) != want:
            yield f"misshapen {name}: want {want}, got {tuple(tensor.shape)}"
        elif tensor.dtype not in FLOATS:
            yield f"quantised {name}: {tensor.dtype}, which means nothing without its scales"
        elif not tensor.isfinite().all():
            yield f"not finite {name}: {int((~tensor.isfinite()).sum())} of {tensor.numel()} numbers are NaN or infinite"


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in _shards(folder):
        try:
            with safe_open(path, framework="pt") as opened:
                tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise FileProblem(f"{path.name} is truncated or not safetensors ({error}); download it again.") from None
    return tensors


def _shards(folder: Path) -> list[Path]:
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if single.is_file():
        return [single]
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (json.JSONDecodeError, KeyError, AttributeError, UnicodeDecodeError):
            raise FileProblem(f"{index.name} holds no weight_map; download the checkpoint again.") from None
        absent = [n for n in names if Path(n).name != n or not (folder / n).is_file()]
        if absent:
            raise FileProblem(f"{index.name} lists shards that are not there: {', '.join(absent)}; download them.")
        return [folder / n for n in names]
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    if pickled:
        raise Unsupported(
            f"{', '.join(pickled)} are pickles, which run code from their author when opened; "
            "minillm reads safetensors only; convert them with save_pretrained(safe_serialization=True)."
        )
    raise FileProblem(f"no model.safetensors in {folder}; a checkpoint folder holds config.json and model.safetensors.")
