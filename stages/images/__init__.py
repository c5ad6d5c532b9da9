"""Images: shards of them, the order in which they come, and the views that are made of them."""
