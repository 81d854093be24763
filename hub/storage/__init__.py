"""Bytes and facts: the blob stores, the snapshots cut from them, and the catalog that names them."""
