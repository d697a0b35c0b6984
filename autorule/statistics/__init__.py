"""What verdicts on pairs say about rules: pure functions on arrays, and the records that they fill."""
