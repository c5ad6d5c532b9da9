"""Packing of a split by the stage `shard`.

`plan` assigns samples to shards, `images` decodes an image once and says how it is packed, `parts` writes a single
shard, `processes` spreads the work over all cores, and `index` moves the finished shards into place and writes their
index.
"""
