"""The consumer that turns lessons into a book of patterns and fitted models."""
