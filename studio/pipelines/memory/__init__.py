"""Getting by with the memory there is: what a model weighs, a plan for a machine, and weights that flow by it."""
