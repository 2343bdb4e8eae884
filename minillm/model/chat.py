"""A conversation as one text: each checkpoint was taught with marks of its own for who speaks, and brings the recipe along.

The recipe is a Jinja template, in `chat_template.jinja` or `tokenizer_config.json`. It is a program by the checkpoint's
author, so it runs in Jinja's sandbox, sees nothing but the messages, and gives what `transformers` would give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem, InvalidType, InvalidValue, rule_numbers_remedy

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
REASONING = ("reasoning_content", "thinking", "reasoning")  # names that a message's reasoning goes by
Message = Mapping[str, Any]


class ChatTemplate:
    """Templates by name, and the special tokens they may name -> `render(messages)`.

    `templates` is one Jinja source, or several by name: "tool_use" is taken for a call with tools, otherwise "default".
    Raises InvalidType for what is no text, InvalidValue for a source that is not Jinja.
    """

    def __init__(
        self,
        templates: str | Mapping[str, str],
        special_tokens: Mapping[str, str] | None = None,
        *,
        now: Callable[[], datetime] = datetime.now,
    ):
        self.sources = dict(templates) if isinstance(templates, Mapping) else {"default": templates}
        self.special_tokens = dict(special_tokens or {})
        environment = _sandbox(now)
        self._compiled = {name: _compile(environment, name, source) for name, source in self.sources.items()}

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **extra: Any,
    ) -> str:
        """Messages, each a dict with a "role" and "content" -> the text that the model was taught such a conversation as.

        `add_generation_prompt` ends it where the assistant begins. `extra` is for the template (`enable_thinking=False`,
        say). Raises InvalidType or InvalidValue for what are no messages, and for what the template refuses.
        """
        template = self._compiled[self._name_for(tools)]
        chat = [_message(one) for one in _as_list(messages, "messages")]
        if not chat:
            raise InvalidValue("a conversation needs at least one message; got none; say something.")
        said = {**self.special_tokens, **{key: _plain(value) for key, value in extra.items()}}
        kit = None if tools is None else [_plain(tool) for tool in _as_list(tools, "tools")]
        said |= dict(messages=chat, tools=kit, documents=None, add_generation_prompt=add_generation_prompt)
        try:
            return template.render(said)
        except Exception as error:  # the template's own refusal, or its author's mistake
            rule = "the checkpoint's chat template must accept the messages"
            remedy = "see which roles, and in which order, it was made for"
            raise InvalidValue(rule_numbers_remedy(rule, f"{type(error).__name__}: {error}", remedy)) from None

    def _name_for(self, tools: object) -> str:
        if tools is not None and "tool_use" in self.sources:
            return "tool_use"
        if "default" not in self.sources:
            rule = "one of a checkpoint's chat templates must be called default"
            raise InvalidValue(rule_numbers_remedy(rule, ", ".join(self.sources), "make one of them the only one"))
        return "default"

    def __repr__(self) -> str:
        return f"ChatTemplate({', '.join(f'{name}: {len(text)} characters' for name, text in self.sources.items())})"


def load_chat_template(folder: str | Path) -> ChatTemplate | None:
    """The chat template of a checkpoint folder, or None. Raises FileProblem for one that cannot be read.

    `chat_template.jinja` counts before `tokenizer_config.json`, as in transformers.
    """
    path = Path(folder)
    settings_file, single = path / "tokenizer_config.json", path / "chat_template.jinja"
    try:
        settings = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else {}
        found = _templates(settings.get("chat_template"))
        if single.is_file():
            others = sorted((path / "additional_chat_templates").glob("*.jinja"))
            found = {file.stem: file.read_text(encoding="utf-8") for file in others}
            found["default"] = single.read_text(encoding="utf-8")
        special = {name: _token_text(settings.get(name)) for name in SPECIAL_TOKENS}
        return (
            ChatTemplate(found, {name: text for name, text in special.items() if text is not None}) if found else None
        )
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise FileProblem(f"the chat template of {path.name} cannot be read ({error}); download it again.") from None


def as_conversations(messages: Any) -> list[list[Message]]:
    """One conversation or a list of them -> a list of them. Raises InvalidType or InvalidValue."""
    many = _as_list(messages, "messages")
    if not many:
        raise InvalidValue("a conversation needs at least one message; got none; say something.")
    return [many] if isinstance(many[0], Mapping) else [_as_list(one, "messages") for one in many]


def _templates(said: Any) -> dict[str, str]:
    """`chat_template` as tokenizer_config.json has it: nothing, one source, or a list of names and sources."""
    if said is None:
        return {}
    return {"default": said} if isinstance(said, str) else {one["name"]: one["template"] for one in said}


def _token_text(said: Any) -> str | None:
    return said["content"] if isinstance(said, Mapping) else said


def _sandbox(now: Callable[[], datetime]) -> Any:
    """What transformers runs templates in: whitespace of blocks trimmed, `break` and `continue`, three functions more."""
    from jinja2 import ext, nodes
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class GenerationTag(ext.Extension):
        """{% generation %} marks what the assistant says, for training: here its contents are text as any other."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )  # Jinja's own writes < and > so that they are safe in HTML

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals.update(raise_exception=raise_exception, strftime_now=lambda form: now().strftime(form))
    return environment


def _compile(environment: Any, name: str, source: str) -> Any:
    if not isinstance(source, str):
        rule, remedy = "a chat template must be text", "take the checkpoint's own"
        raise InvalidType(rule_numbers_remedy(rule, f"{name!r}: {type(source).__name__}", remedy))
    try:
        return environment.from_string(source)
    except Exception as error:  # not its grammar, or brackets nested deeper than a parser goes
        rule = "a chat template must be Jinja"
        raise InvalidValue(rule_numbers_remedy(rule, f"{name!r}: {error}", "take the checkpoint's own")) from None


def _message(message: Any) -> dict[str, Any]:
    """Plain data, without what is None; reasoning under the name that templates read."""
    if not isinstance(message, Mapping):
        rule = "a message must be a dict with a role and content"
        raise InvalidType(rule_numbers_remedy(rule, f"{message!r:.60}", 'use {"role": "user", "content": "Hello"}'))
    if not isinstance(message.get("role"), str):
        rule, remedy = "a message must say its role", "use user, assistant or system"
        raise InvalidValue(rule_numbers_remedy(rule, f"{dict(message)!r:.60}", remedy))
    plain = {key: _plain(value) for key, value in message.items() if value is not None}
    thoughts = next((plain[name] for name in REASONING if name in plain), None)
    return plain if thoughts is None else {"thinking": thoughts, **plain, "reasoning_content": thoughts}


def _plain(value: Any) -> Any:
    """A copy made of JSON's kinds only: a template may call the methods of what it is given."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str | int | float):  # enums and the like, which carry more than their value
        return str.__str__(value) if isinstance(value, str) else json.loads(json.dumps(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(_plain(one) for one in value)
    rule = "messages are made of text, numbers, lists and dicts"
    raise InvalidType(rule_numbers_remedy(rule, type(value).__name__, "pass text only"))


def _as_list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        rule, remedy = f"{name} must be a list of dicts", 'use [{"role": "user", "content": "Hello"}]'
        raise InvalidType(rule_numbers_remedy(rule, f"{value!r:.60}", remedy))
    return list(value)
