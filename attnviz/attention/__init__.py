"""One layer's attention as a record, its weights on demand, the measures, and the checks."""
