"""The report: one page of tables and figures from the results of a study."""
