"""The options that params.yaml may have: every key, its type and its range. Nothing heavy is imported here."""
