"""A library of self-supervised vision: methods that see the whole in the parts, and how they are evaluated."""
