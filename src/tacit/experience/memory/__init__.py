"""Memories: things remembered as text. The noun, its bounds, how it is written, folded and read."""
