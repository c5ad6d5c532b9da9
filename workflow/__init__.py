"""How the study is run: where and when, and no science."""
