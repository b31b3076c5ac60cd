"""Encodings, distributions and returns, as pure functions.

The one exception, `normalizer.ReturnNormalizer`, holds two scalars.
"""
