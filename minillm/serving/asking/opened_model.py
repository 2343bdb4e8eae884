"""What a face is built from: a model, its tokenizer and its chat template, by name or as they are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.model.chat import ChatTemplate, load_chat_template
from minillm.model.checkpoint import load_model, resolve_folder
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer, load_tokenizer


class OpenedModel(NamedTuple):
    """Ready to be served; `name` is for people."""

    name: str
    model: Decoder
    tokenizer: Tokenizer | None
    chat_template: ChatTemplate | None


def open_model(
    model: str | Path | Decoder,
    tokenizer: str | Path | Tokenizer | None = None,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    chat_template: str | ChatTemplate | None = None,
) -> OpenedModel:
    """A bundled name, a checkpoint folder, a hub id or a Decoder -> all that belongs to it.

    A named model brings its tokenizer and its chat template along; a Decoder has those that are passed, or none. Raises what
    `load_model` and `load_tokenizer` raise, and InvalidType or InvalidValue for arguments that do not go together.
    """
    given = ChatTemplate(chat_template) if isinstance(chat_template, str) else chat_template
    if given is not None and not isinstance(given, ChatTemplate):
        rule, remedy = "chat_template must be Jinja source", "leave it out for the checkpoint's own"
        raise InvalidType(rule_numbers_remedy(rule, type(given).__name__, remedy))
    if isinstance(tokenizer, str | Path):
        tokenizer = load_tokenizer(tokenizer)
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
        rule, remedy = "tokenizer must be a Tokenizer or a name", "use ml.load_tokenizer(name)"
        raise InvalidType(rule_numbers_remedy(rule, type(tokenizer).__name__, remedy))
    if isinstance(model, Decoder):
        if dtype is not None or device is not None:
            rule = "dtype and device are for a model that is loaded by name"
            raise InvalidValue(rule_numbers_remedy(rule, "them with a Decoder", "use model.to(...) before"))
        return OpenedModel(f"a {model.config.family}", model, tokenizer, given)
    loaded = load_model(model, dtype=dtype, device=device)
    return OpenedModel(
        str(model), loaded, tokenizer or load_tokenizer(model), given or load_chat_template(resolve_folder(model))
    )
