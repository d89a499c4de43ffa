"""Bring in what was said elsewhere as memories: chat logs in the formats that they come in, and lines of JSON."""
