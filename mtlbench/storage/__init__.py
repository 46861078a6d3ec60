"""What lies in outputs/ and survives a crash: cells, checkpoints, claims, whole files. Knows no torch and no score."""
