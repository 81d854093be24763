"""The nouns: what a hub talks about. No I/O, no framework, pydantic and the standard library only."""
