"""The page of the report: what it reads, what it works out, and how it looks."""
