"""A small random model with a real tokenizer, in a folder, as a user would have one."""

import pytest

import minillm as ml
from minillm.model import Decoder, ModelConfig, save_model
from minillm.model.initial import initialise
from minillm.model.tokenizer import save_tokenizer, train_tokenizer

TEXT = "def read(path):\n    return open(path).read()  # größer → naïve 🙂\nclass Reader:\n    pass\n"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("small")
    tokenizer = train_tokenizer([TEXT * 4], 300)
    config = ModelConfig(tokenizer.vocab_size, 32, 64, 2, 4, 2, 8, max_position_embeddings=64, eos_token_ids=(0,))
    model = Decoder(config)
    initialise(model, seed=0)
    for name, weight in model.named_parameters():
        if "o_proj" in name or "down_proj" in name or "embed" in name:
            weight.data.normal_(std=0.3)  # not the silent start of training: texts must depend on their prompts
    save_model(model, path)
    save_tokenizer(tokenizer, path, 64)
    return path


@pytest.fixture(scope="session")
def llm(folder):
    return ml.LLM(folder)
