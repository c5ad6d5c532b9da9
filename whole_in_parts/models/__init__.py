"""Networks: backbones, heads, EMA teachers, queues and prototypes; and saved backbones."""
