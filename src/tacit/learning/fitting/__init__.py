"""What the fitted models share: how an episode is read for them, how they are fitted, and how they are kept."""
