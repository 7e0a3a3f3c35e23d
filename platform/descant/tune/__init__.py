"""Searches a recipe's keys by many trials: what is searched, what came of it, and which is the best.

The parts that need no cluster: a *tuner* (entry point ``descant.tuners``) runs the trials.
"""
