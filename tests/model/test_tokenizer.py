"""Tokenising is reversible for every text, and a stream never shows half a character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as BPE
from tokenizers import decoders, processors

import minillm as ml
from minillm.errors import FileProblem, InvalidType, InvalidValue
from minillm.model.tokenizer import END_OF_TEXT, ByteDecoder, StreamDecoder, Tokenizer, save_tokenizer, train_tokenizer

TOKENIZER = train_tokenizer(["def naïve(x):\n        return x  # größer 🙂\n" * 5], 320)
STREAMS = [StreamDecoder, ByteDecoder]
MORE = BPE.from_str(TOKENIZER.bpe.to_str())
MORE.add_tokens(["<think>", "größer", "→x"])
MORE.add_special_tokens(["<|end|>"])
MORE = Tokenizer(MORE)


@given(st.text())
def test_decode_inverts_encode(text):
    if END_OF_TEXT not in text:
        assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize("decoder", STREAMS)
@given(text=st.text(min_size=1))
def test_streamed_pieces_join_to_the_text_and_hold_no_half_character(decoder, text):
    text = text.replace("\ufffd", "")
    stream = decoder(TOKENIZER)
    pieces = [stream.push(i) for i in TOKENIZER.encode(text) if i != TOKENIZER.eos_token_id]
    assert not any("\ufffd" in p for p in pieces)
    assert "".join(pieces) + stream.flush() == text.replace(END_OF_TEXT, "")


@pytest.mark.parametrize("decoder", STREAMS)
@given(ids=st.lists(st.integers(0, MORE.vocab_size + 2), max_size=40))
def test_streaming_any_ids_joins_to_their_decoding(decoder, ids):
    """Broken characters, special and added tokens, and rows that no token names."""
    stream = decoder(MORE)
    assert "".join(stream.push(i) for i in ids) + stream.flush() == MORE.bpe.decode(ids, skip_special_tokens=True)


def test_a_tokenizer_that_is_not_of_bytes_is_streamed_by_its_own_decoder():
    assert type(TOKENIZER.stream()) is ByteDecoder
    bpe = BPE.from_str(TOKENIZER.bpe.to_str())
    bpe.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    assert type(Tokenizer(bpe).stream()) is StreamDecoder


@pytest.mark.parametrize("decoder", STREAMS)
def test_an_emoji_is_shown_when_its_last_byte_arrives(decoder):
    stream = decoder(TOKENIZER)
    ids = TOKENIZER.encode("🚀")
    assert len(ids) > 1
    assert [stream.push(i) for i in ids] == [""] * (len(ids) - 1) + ["🚀"]


def test_training_is_deterministic():
    text = ["for i in range(10):\n    print(i)\n", "while True:\n    break\n"] * 3
    assert train_tokenizer(text, 290).bpe.to_str() == train_tokenizer(text, 290).bpe.to_str()


def test_round_trip_through_a_folder(tmp_path):
    save_tokenizer(TOKENIZER, tmp_path, 64)
    again = ml.load_tokenizer(tmp_path)
    assert again.bpe.to_str() == TOKENIZER.bpe.to_str()
    assert again.eos_token_id == TOKENIZER.eos_token_id == again.encode(END_OF_TEXT)[0]
    assert again.decode([again.eos_token_id]) == ""
    assert again.token_text(again.eos_token_id) == END_OF_TEXT


def test_refusals(tmp_path):
    with pytest.raises(InvalidType, match="got int"):
        TOKENIZER.encode(3)
    with pytest.raises(InvalidValue, match=f"got {TOKENIZER.vocab_size}"):
        TOKENIZER.decode([TOKENIZER.vocab_size])
    with pytest.raises(FileProblem, match=r"no tokenizer.json"):
        ml.load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FileProblem, match="cannot be read"):
        ml.load_tokenizer(tmp_path)
    save_tokenizer(TOKENIZER, tmp_path, 64)
    for broken in ("{", "[]"):
        (tmp_path / "tokenizer_config.json").write_text(broken)
        with pytest.raises(FileProblem, match=r"tokenizer_config.json .* cannot be read"):
            ml.load_tokenizer(tmp_path)


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(InvalidValue, match=r"valid Unicode; got 'a\\udcff'"):
        TOKENIZER.encode("a\udcff")


@pytest.mark.parametrize("ids", ["abc", [1.5], 5, None, [None]])
def test_decoding_takes_ids_and_rounds_nothing(ids):
    with pytest.raises(InvalidType, match="whole numbers"):
        TOKENIZER.decode(ids)


@pytest.mark.parametrize("decoder", STREAMS)
def test_a_row_of_the_model_that_no_token_names_has_no_text(decoder):
    stream = decoder(TOKENIZER)
    ids = TOKENIZER.encode("def x")
    pieces = [stream.push(i) for i in (*ids[:1], TOKENIZER.vocab_size + 7, *ids[1:])]
    assert "".join(pieces) + stream.flush() == "def x"


def test_a_text_begins_as_the_checkpoint_says(tmp_path):
    bpe = BPE.from_str(TOKENIZER.bpe.to_str())
    bpe.post_processor = processors.TemplateProcessing(single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)])
    bpe.save(str(tmp_path / "tokenizer.json"))
    begun, plain = ml.load_tokenizer(tmp_path), TOKENIZER.encode("def")
    assert begun.encode("def") == [0, *plain]
    assert begun.encode("def", add_special_tokens=False) == plain
