"""Studies on Ray Tune: trials side by side, their schedulers and what proposes them."""
