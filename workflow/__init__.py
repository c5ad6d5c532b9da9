"""Run the stages of a study by DVC and Snakemake; this package holds no science."""
