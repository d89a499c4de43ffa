"""Whether advice helps: what was shown and what was held back at random, and how it turned out."""
