"""Choosing the next token: sampling, beams and speculation."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "Beam": "minillm.decoding.beam",
        "BeamRules": "minillm.decoding.beam",
        "BeamState": "minillm.decoding.beam",
        "Hypothesis": "minillm.decoding.beam",
        "advance": "minillm.decoding.beam",
        "best_continuations": "minillm.decoding.beam",
        "search_beams": "minillm.decoding.beam",
        "Choice": "minillm.decoding.sampling",
        "TokenCounts": "minillm.decoding.penalties",
        "UnusableScores": "minillm.decoding.sampling",
        "choose_tokens": "minillm.decoding.sampling",
        "token_logprobs": "minillm.decoding.sampling",
        "next_token_probabilities": "minillm.decoding.sampling",
        "sample_token": "minillm.decoding.sampling",
        "uniform_noise": "minillm.decoding.sampling",
        "accept_same_noise": "minillm.decoding.speculative",
        "expected_tokens": "minillm.decoding.speculative",
        "likely_choices": "minillm.decoding.speculative",
        "ngram_proposal": "minillm.decoding.speculative",
        "NgramIndex": "minillm.decoding.speculative",
        "pass_cost": "minillm.decoding.speculative",
        "rejection_sample": "minillm.decoding.speculative",
        "speed_up": "minillm.decoding.speculative",
    },
)
