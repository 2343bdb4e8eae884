"""Text to token ids and back, with a byte-level BPE: every text has an encoding, and every encoding is reversible.

The work is done by the `tokenizers` library; this module gives it a small face, and the streaming decoder that never shows
half a character.
"""

from __future__ import annotations

import codecs
import json
import operator
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as BPE

from minillm.errors import FileProblem, InvalidType, InvalidValue, rule_numbers_remedy

END_OF_TEXT = "<|endoftext|>"


class Tokenizer:
    """A byte-level BPE from a `tokenizer.json`.

    `encode(text) -> list[int]`; `decode(ids) -> str` leaves special tokens out.
    """

    def __init__(self, bpe: BPE, eos_token: str | None = None):
        self.bpe = bpe
        self.eos_token_id = None if eos_token is None else bpe.token_to_id(eos_token)
        self.special_ids = frozenset(i for i, t in bpe.get_added_tokens_decoder().items() if t.special)
        self._bytes: dict[int, bytes] = {}

    @property
    def vocab_size(self) -> int:
        """V, special tokens included."""
        return self.bpe.get_vocab_size()

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The token ids of a text, begun as the checkpoint's own tokenizer begins one (Llama's with a start token; the
        bundled models' with nothing) unless told not to.

        Raises InvalidType for anything but a string, InvalidValue for one that is not Unicode.
        """
        if not isinstance(text, str):
            raise InvalidType(
                rule_numbers_remedy(
                    "encode takes a string", type(text).__name__, "pass text, or token ids straight to the model"
                )
            )
        try:
            return self.bpe.encode(text, add_special_tokens=add_special_tokens).ids
        except TypeError:  # the library's name for half a surrogate pair, as a shell passes on bytes that are not UTF-8
            rule = "a text must be valid Unicode"
            remedy = "read it as UTF-8, with errors='replace' if need be"
            raise InvalidValue(rule_numbers_remedy(rule, f"{text!r:.60}", remedy)) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids. Raises InvalidType for what are no ids, InvalidValue for one outside the vocabulary."""
        try:
            ids = [operator.index(i) for i in ids]
        except TypeError:
            rule = "decode takes token ids, whole numbers"
            raise InvalidType(rule_numbers_remedy(rule, f"{ids!r:.60}", "pass what encode gave")) from None
        wrong = [i for i in ids if not 0 <= i < self.vocab_size]
        if wrong:
            raise InvalidValue(
                f"token ids lie in 0 … {self.vocab_size - 1}; got {wrong[0]}; decode with the model's own tokenizer."
            )
        return self.bpe.decode(ids, skip_special_tokens=True)

    def token_text(self, token_id: int) -> str:
        """One token as text; a token that is part of a character shows as its replacement sign, a special one by its name."""
        if token_id in self.special_ids:
            return str(self.bpe.id_to_token(token_id))
        return self.decode([token_id])

    @property
    def is_byte_level(self) -> bool:
        """Whether a text is the bytes of its tokens, one behind the other."""
        return type(self.bpe.decoder) is decoders.ByteLevel

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token of a byte-level tokenizer; none for a special one, and for an id without a token."""
        known = self._bytes.get(token_id)
        if known is None:
            token = None if token_id in self.special_ids else self.bpe.id_to_token(token_id)
            known = self._bytes[token_id] = b"" if token is None else _bytes_of(token)
        return known

    def stream(self) -> StreamDecoder | ByteDecoder:
        """A decoder for a text whose tokens come one at a time."""
        return ByteDecoder(self) if self.is_byte_level else StreamDecoder(self)

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size}, eos_token_id={self.eos_token_id})"


class StreamDecoder:
    """Token ids one at a time -> text as soon as it is whole.

    A character may take several tokens; `push` holds bytes back until they make one, and `flush` gives what is left.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.bpe = tokenizer.bpe
        self.ids: list[int] = []
        self.start = 0  # first id whose text is not settled
        self.shown = 0  # characters of that unsettled text already given

    def push(self, token_id: int) -> str:
        """The text that this token completes, possibly empty."""
        self.ids.append(token_id)
        text = self._text()
        if text.endswith("\ufffd"):
            return ""
        new = text[self.shown :]
        # Keep the last token as context, because some decoders treat the first token of a text apart.
        self.start = len(self.ids) - 1
        self.shown = len(self._text())
        return new

    def flush(self) -> str:
        """Whatever is still held back, replacement signs included."""
        text = self._text()[self.shown :]
        self.start, self.shown = len(self.ids), 0
        return text

    def _text(self) -> str:
        # A model may have more rows than its tokenizer has tokens, to fill a round number: such an id has no text.
        return self.bpe.decode(self.ids[self.start :], skip_special_tokens=True)


class ByteDecoder:
    """The same for a byte-level tokenizer, of which every token is some bytes: a tenth of the time, and the same text.

    Bytes that can't become a character any more are shown as a replacement sign at once, and not when the next one is whole.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.bytes_of = tokenizer.token_bytes
        self.utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that this token completes, possibly empty."""
        return self.utf8.decode(self.bytes_of(token_id))

    def flush(self) -> str:
        """Whatever is still held back, as a replacement sign."""
        return self.utf8.decode(b"", final=True)


def load_tokenizer(name: str | Path) -> Tokenizer:
    """Load by bundled name, folder or hub id, as `load_model` does. Raises FileProblem when there is no tokenizer.json, or
    when it or `tokenizer_config.json` cannot be read."""
    from minillm.model.checkpoint import resolve_folder

    folder = resolve_folder(name)
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FileProblem(
            f"no tokenizer.json in {folder.name}; minillm reads the fast tokenizer's file; export it with save_pretrained."
        )
    try:
        bpe = BPE.from_file(str(path))
    except Exception as error:
        raise FileProblem(f"{path.name} in {folder.name} cannot be read ({error}); download it again.") from None
    return Tokenizer(bpe, _eos_token(folder, bpe))


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn a byte-level BPE of `vocab_size` tokens from texts (Sennrich et al., 2016; bytes as in GPT-2, 2019)."""
    bpe = BPE(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(END_OF_TEXT, special=True)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return Tokenizer(bpe, END_OF_TEXT)


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path, max_length: int) -> None:
    """Write `tokenizer.json` and the `tokenizer_config.json` that transformers reads."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.bpe.save(str(path / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


@cache
def _byte_of_letter() -> dict[str, int]:
    """How a byte-level vocabulary spells bytes: printable ones of Latin-1 as themselves, the others as letters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def _bytes_of(token: str) -> bytes:
    """A token as it is spelled in the vocabulary -> its bytes; one that was added as it is has no such spelling."""
    letters = _byte_of_letter()
    return bytes(letters[c] for c in token) if all(c in letters for c in token) else token.encode()


def _eos_token(folder: Path, bpe: BPE) -> str | None:
    settings = folder / "tokenizer_config.json"
    try:
        named = json.loads(settings.read_text(encoding="utf-8")).get("eos_token") if settings.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise FileProblem(f"{settings.name} in {folder.name} cannot be read ({error}); download it again.") from None
    token = named.get("content") if isinstance(named, dict) else named
    return token if token is not None and bpe.token_to_id(token) is not None else None
