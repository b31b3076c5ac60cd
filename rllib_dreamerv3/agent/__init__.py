"""The paper: networks, losses, imagination, and one update of all of them. Independent of Ray.

Equations are those of arXiv 2301.04104v1; the additions of the 2025 revision follow below.

=====================================================  ============================================
symlog, eq. 1                                          ``math/scalars.py``
RSSM, eq. 3: sequence model, posterior, prior          ``networks/rssm.py``, ``networks/gru.py``
encoder, decoder                                       ``networks/encoder.py``, ``decoder.py``
reward and continue predictors                         ``networks/heads.py``
L_pred, L_dyn, L_rep, eq. 4 and 5; free bits           ``losses/world_model.py``
1 % unimix, straight-through gradients                 ``math/categorical.py``
imagination                                            ``imagination.py``
lambda-returns, eq. 7                                  ``math/returns.py``
two-hot rewards and values, eq. 9 and 10               ``math/two_hot.py``
actor and critic losses, eq. 10 and 11                 ``losses/actor_critic.py``
return normalisation, eq. 12                           ``math/normalizer.py``
rewards of the actor: the task's, curiosity            ``objectives.py``
one update; Adam                                       ``trainer.py``, ``optimizers.py``

2025: critic loss on replayed records                  ``losses/actor_critic.py``
2025: latents from replay as context                   ``networks/world_model.py``
2025: block GRU, RMS norms                             ``networks/gru.py``, ``networks/layers.py``
Plan2Explore, arXiv 2005.05960                         ``networks/ensemble.py``,
                                                       ``losses/exploration.py``
2025: LaProp with adaptive gradient clipping           ``optimizers.py``
=====================================================  ============================================

``kernels/`` has optimised forms of the slow operations, each with a reference implementation.
``replicas.py`` combines several trainers into one update; ``assignments.py`` skips non-finite
steps.
"""
