"""The six strategies that find patterns in episodes. Each is a file; ``catalogue`` lists them, ``mining`` runs them."""
