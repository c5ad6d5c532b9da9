"""How `shard` packs a split: which samples are in which shard (`plan`), shard by shard (`parts`), by all cores
(`processes`), and what the shards become when all are there (`index`).
"""
