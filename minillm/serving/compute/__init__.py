"""Computing: a step's tokens through the model and back as chosen ones, with the weights and loops that make it quick."""
