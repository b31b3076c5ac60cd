"""Pure functions: encodings, distributions, returns. They know nothing of Ray and hold no state.

(The one exception to the latter, `normalizer.ReturnNormalizer`, holds two scalars.)
"""
