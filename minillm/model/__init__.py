"""The decoder, its configuration, checkpoints and tokenizer, and the program that trained the bundled models."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "attention_maps": "minillm.model.decoder",
        "Decoder": "minillm.model.decoder",
        "KNOWN_CONFIGS": "minillm.model.known",
        "load_model": "minillm.model.checkpoint",
        "load_tokenizer": "minillm.model.tokenizer",
        "ModelConfig": "minillm.model.config",
        "RopeScaling": "minillm.model.config",
        "save_model": "minillm.model.checkpoint",
        "sibling_results": "minillm.model.siblings",
        "Tokenizer": "minillm.model.tokenizer",
    },
)
