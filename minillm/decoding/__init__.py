"""Choosing the next token: sampling now; beams and speculation join it in later lessons."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "next_token_probabilities": "minillm.decoding.sampling",
        "sample_token": "minillm.decoding.sampling",
        "uniform_noise": "minillm.decoding.sampling",
    },
)
