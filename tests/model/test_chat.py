"""Conversations become the text that transformers makes of them, for templates of the kinds that checkpoints bring along."""

import json
from datetime import datetime
from enum import Enum, StrEnum

import pytest

from minillm.errors import FileProblem, InvalidType, InvalidValue
from minillm.model.chat import ChatTemplate, as_conversations, load_chat_template
from minillm.model.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

CHATML = """{%- if messages[0].role != 'system' %}
    {{- '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}
{%- endif %}
{% for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
STRICT = """{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate!') }}{% endif %}
{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]{% else %}
{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}{% endif %}
{% endfor %}{{ pad_token }}"""
TOOLS = """{% set ns = namespace(seen=0) %}
{% if tools is not none %}{% for tool in tools %}{{ tool | tojson(indent=2) }}{{ loop.last and '\\n' or ', ' }}{% endfor %}{% endif %}
{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% set ns.seen = ns.seen + 1 %}
{{ ns.seen }} {{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content or [] %}{{ part.text }}{% endfor %}{% endif %}
{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}
    {% if 'content' in m %}has content{% endif %}
    {% if ns.seen > 2 %}{% break %}{% endif %}
{% endfor %}"""
DATED = "{{ strftime_now('%Y') }} {{ messages | length }}{% if documents %}!{% endif %}"
TALK = [
    dict(role="user", content='Größe <b> & "quotes"?\n'),
    dict(role="assistant", content="  **viel** \t"),
    dict(role="user", content="🙂"),
]
TOOL = dict(type="function", function=dict(name="größe", description="<x>", parameters=dict(type="object")))
CALLED = [
    dict(role="system", content="s"),
    dict(role="user", content=[dict(type="text", text="a"), dict(type="text", text="b")]),
    dict(role="assistant", content=None, tool_calls=[TOOL], thinking="hm"),
    dict(role="tool", content="5"),
    dict(role="user", content="never reached"),
]


@pytest.fixture
def folder(tmp_path):
    save_tokenizer(train_tokenizer(["Be brief. assistant user system"], 300), tmp_path, 64)
    return tmp_path


def configure(folder, **settings):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings), encoding="utf-8")


def theirs(folder, messages, **options):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    return text, tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)


@pytest.mark.parametrize(
    ("template", "messages", "options"),
    [
        (CHATML, TALK, {}),
        (CHATML, TALK, dict(add_generation_prompt=False)),
        (CHATML, [dict(role="system", content="S"), *TALK], dict(enable_thinking=False)),
        (STRICT, TALK, {}),
        (TOOLS, CALLED, dict(tools=[TOOL, TOOL])),
        (TOOLS, CALLED, {}),
        (DATED, TALK, {}),
        ("no messages at all", TALK, {}),
    ],
)
@pytest.mark.parametrize("where", ["config", "file"])
def test_a_conversation_is_the_text_that_transformers_makes(folder, template, messages, options, where):
    configure(folder, bos_token="<|endoftext|>", pad_token=None)
    if where == "file":
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        configure(folder, chat_template="another one, which does not count")
    else:
        configure(folder, chat_template=template)
    options = dict(add_generation_prompt=True) | options
    text, ids = theirs(folder, messages, **options)
    before = json.dumps(messages)
    assert load_chat_template(folder).render(messages, **options) == text
    assert load_tokenizer(folder).encode(text, add_special_tokens=False) == ids
    assert json.dumps(messages) == before


def test_templates_by_name(folder):
    configure(folder, chat_template=[dict(name="default", template="plain"), dict(name="tool_use", template="tools")])
    found = load_chat_template(folder)
    assert found.render(TALK) == theirs(folder, TALK)[0] == "plain"
    assert found.render(TALK, tools=[TOOL]) == theirs(folder, TALK, tools=[TOOL])[0] == "tools"
    (folder / "chat_template.jinja").write_text("file", encoding="utf-8")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("file of tools", encoding="utf-8")
    found = load_chat_template(folder)
    assert (found.render(TALK), found.render(TALK, tools=[TOOL])) == ("file", "file of tools")
    only = ChatTemplate({"rag": "x"})
    with pytest.raises(InvalidValue, match="must be called default; got rag"):
        only.render(TALK)


def test_no_template_is_none(folder):
    assert load_chat_template(folder) is None
    (folder / "tokenizer_config.json").unlink()
    assert load_chat_template(folder) is None


@pytest.mark.parametrize(
    "settings", ['{"chat_template": "{% if %}"}', '{"chat_template": [1]}', '{"chat_template": 7}', "not json", "[]"]
)
def test_unreadable_templates_are_a_file_problem(folder, settings):
    (folder / "tokenizer_config.json").write_text(settings)
    with pytest.raises(FileProblem, match=r"the chat template of .* cannot be read"):
        load_chat_template(folder)


@pytest.mark.parametrize(
    ("messages", "error", "text"),
    [
        ("hello", InvalidType, "messages must be a list of dicts; got 'hello'; use"),
        ([], InvalidValue, "at least one message"),
        (["hello"], InvalidType, "a message must be a dict with a role and content; got 'hello'"),
        ([dict(content="hello")], InvalidValue, "a message must say its role"),
        ([dict(role=3, content="hello")], InvalidValue, "a message must say its role"),
        ([dict(role="user", content=object())], InvalidType, "text, numbers, lists and dicts; got object"),
        ([dict(role="assistant", content="x")], InvalidValue, "TemplateError: Roles must alternate!; see which roles"),
        ([dict(role="user")], InvalidValue, "the checkpoint's chat template must accept the messages; got"),
    ],
)
def test_what_is_no_conversation_is_refused(messages, error, text):
    template = ChatTemplate(STRICT.replace("{{ message['content'] }} [/INST]", "{{ message['content'] + '' }} [/INST]"))
    with pytest.raises(error) as caught:
        template.render(messages)
    assert text in str(caught.value)


def test_a_template_sees_plain_data_in_a_sandbox():
    class Role(StrEnum):
        USER = "user"

    class Number(int, Enum):
        ONE = 1

    said = [dict(role=Role.USER, content=Number.ONE, more=(True, 1.5, None))]
    assert ChatTemplate("{{ messages }}").render(said) == "[{'role': 'user', 'content': 1, 'more': (True, 1.5, None)}]"
    for attack in (
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__.x }}",
    ):
        with pytest.raises(InvalidValue, match=r"SecurityError"):
            ChatTemplate(attack).render(said)
    with pytest.raises(InvalidValue, match="a chat template must be Jinja"):
        ChatTemplate("{% endfor %}")
    for deep in ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{" + "-" * 5000 + "1 }}"):
        with pytest.raises(InvalidValue, match="must be Jinja"):
            ChatTemplate(deep)
    for wrong in (5, {"default": 5}, None):
        with pytest.raises(InvalidType, match="must be text"):
            ChatTemplate(wrong)


def test_time_is_passed_in():
    then = ChatTemplate("{{ strftime_now('%d %b %Y') }}", now=lambda: datetime(2024, 7, 26))
    assert then.render(TALK) == "26 Jul 2024"


def test_one_conversation_or_many():
    assert as_conversations(TALK) == [TALK]
    assert as_conversations([TALK, TALK]) == [TALK, TALK]
    for wrong, error in (("x", InvalidType), ([], InvalidValue), ([["a"], "b"], InvalidType)):
        with pytest.raises(error):
            as_conversations(wrong)
