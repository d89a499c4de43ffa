"""What a mind can do, a topic a file. ``tacit.mind`` puts them together."""
