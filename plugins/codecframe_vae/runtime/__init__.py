"""Running a trained model: no torch, nothing of training."""
