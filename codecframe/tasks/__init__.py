"""Tasks: what a head predicts and how a prediction is scored."""
