"""What an attack costs: `measure.run` times it, `naive` is what it is compared with."""
