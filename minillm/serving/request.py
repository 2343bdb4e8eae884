"""One text that is being written: what is known of it, how far it is computed, and where its blocks are. No torch here."""
