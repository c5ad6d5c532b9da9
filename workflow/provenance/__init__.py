"""The dependencies of a result besides the content of its inputs: the options and the code of its stage."""
