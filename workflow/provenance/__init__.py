"""What a stage's result depends on beside the content of its inputs: the options that it reads and the code it runs."""
