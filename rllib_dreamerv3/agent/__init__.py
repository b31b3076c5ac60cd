"""The paper: networks, losses, imagination, and one update of all of them. Knows no Ray.

Equations are those of arXiv 2301.04104v1; what the 2025 revision adds stands below them.

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
one update; Adam                                       ``trainer.py``, ``optimizers.py``

2025: critic loss on replayed records                  ``losses/actor_critic.py``
2025: latents from replay as context                   ``networks/world_model.py``
2025: block GRU, RMS norms                             ``networks/gru.py``, ``networks/layers.py``
2025: LaProp with adaptive gradient clipping           ``optimizers.py``
=====================================================  ============================================

``kernels/`` has optimised forms of the slow operations, each beside the plain formula that it is
tested against. ``replicas.py`` joins several trainers into one update;
``assignments.py`` leaves out steps that are not finite.
"""
