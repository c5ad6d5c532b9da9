"""Networks: backbones, heads, EMA teachers, queues and prototypes, and how they are saved."""
