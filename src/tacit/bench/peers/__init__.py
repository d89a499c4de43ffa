"""Other stores of memories beside Tacit: the same texts, the same vectors, each in a process of its own."""
