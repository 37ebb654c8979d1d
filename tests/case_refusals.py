"""Cases of the table that a method may refuse.

Any other refusal is a failure: it would be easy to be never wrong by refusing everything.
"""

from __future__ import annotations

NO_METHOD = {
    # PyTorch has no derivative for them, or none of second order.
    *("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "modified_bessel_k0"),
    *("zeta_in_x", "heaviside", "cdist_p1", "custom_operator_without_autograd"),
    # Its third derivative at 0 is wrong, so that it cannot be trained on.
    *("i1", "i1_at_zero"),
    # Gradients of |z| of a complex z that is exactly 0.
    "spectrum_of_symmetric",
    # What autograd is told is not the derivative of what f computes.
    *("function_detached_backward", "function_numpy_backward", "function_wrong_backward"),
    *("function_once_differentiable", "function_straight_through"),
    *("detach_inside", "no_grad_inside", "numpy_inside"),
    # PyTorch cannot go backward: a value that is still needed is overwritten.
    *("inplace_add_", "inplace_addcmul_", "inplace_mul_by_itself_", "inplace_relu"),
    "checkpoint_reentrant",
}
NOT_NESTED = {
    # No forward formula.
    *("custom_operator", "function_old_style", "function_with_setup_context", "checkpoint"),
    *("gammainc_in_x", "grid_sample", "huber", "sparse_matrix", "rrelu_eval"),
    "own_autograd_gradient",
    # A wrong one.
    *("function_with_custom_jvp", "cholesky_inverse", "householder", "scatter_reduce_prod"),
    *("slogdet", "logdet", "solve", "solve_3x3", "solve_constant_matrix", "schur_complement"),
    *("eigvals", "eigvalsh", "eigh_projector", "eigvalsh_of_repeated"),
    # Wrong where a factor or a vector is zero.
    *("cumprod", "cumprod_of_three_with_zero", "cumprod_with_zero_factor", "vander"),
    "tensor_exponent_at_zero",
    *("norm_1", "norm_3", "norm_inf", "norm_4_at_zero", "norm_of_difference"),
    *("cosine_similarity", "normalize", "normalize_at_zero", "pairwise_distance"),
    # Right, but its result cannot be differentiated again.
    *("copysign", "matrix_norm_fro", "renorm"),
    # Differs from reverse mode by single rounding.
    "float32_inside",
}
CANNOT = {
    "nested": NO_METHOD | NOT_NESTED,
    # Its second backward pass gives NaN.
    "reverse": NO_METHOD | {"logcumsumexp"},
    "auto": NO_METHOD,
}
# sin(x)/x as it is written loses its digits close to 0, the more the higher the order.
NOT_THIRD = {"where_guarding_zero"}
