"""Which tool comes next."""
